//! What of the data has another shape than a network reads.
use crate::Problem;
use crate::data::DataSplit;
use crate::models::NetworkConfig;

/// Sizes, image features and text embeddings of `data` that `network`, the section `path`, does not read.
pub(super) fn network_misfits(path: &str, network: &NetworkConfig, data: &DataSplit) -> Vec<Problem> {
    let mut problems = network.problems(path, Some(data.shape), Some(data.classes));
    match network {
        NetworkConfig::Repa(c) => {
            let tokens = (c.input_size / c.patch_size.max(1)).pow(2);
            for (i, (found, width)) in data.features.iter().zip(&c.z_dims).enumerate() {
                let wanted = [tokens, *width];
                let must = format!("must be {wanted:?}, one token per patch, z_dims[{i}] wide");
                let (key, text) = (format!("features[{i}]"), format!("{found:?}"));
                Problem::unless(&mut problems, *found == wanted, "data", &key, text, must);
            }
        }
        NetworkConfig::Mmdit(c) => {
            if let Some(text) = &data.null_text {
                let (context, pooled) = (text.context.shape[1], text.pooled.shape[0]);
                let mut must = |what: &str, found: usize, want: usize| {
                    let (found, must) = (format!("{what} {found} wide"), format!("must be {want} wide"));
                    Problem::unless(&mut problems, false, "data", "text", found, must);
                };
                if context != c.context_width {
                    must("context", context, c.context_width);
                }
                if let Some(width) = c.pooled_width.filter(|width| pooled != *width) {
                    must("pooled", pooled, width);
                }
            }
        }
        NetworkConfig::ResidualMlp(_) | NetworkConfig::Sit(_) | NetworkConfig::Rae(_) => {}
    }
    problems
}
