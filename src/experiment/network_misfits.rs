//! Image features and text embeddings of another shape than the network reads.
use crate::Problem;
use crate::models::NetworkConfig;

/// Widths of the text embeddings in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextWidths {
    /// Of each token of the sequence.
    pub context: usize,
    /// Of the pooled embedding.
    pub pooled: usize,
}

/// What of the data does not fit `network`: `features` are `[tokens, width]` of each image encoder.
///
/// Labels and the shape of the data are checked by [`NetworkConfig::problems`], before any file is opened.
pub(super) fn network_misfits(
    network: &NetworkConfig,
    features: &[[usize; 2]],
    text: Option<TextWidths>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    match network {
        NetworkConfig::Repa(c) => {
            let tokens = (c.input_size / c.patch_size.max(1)).pow(2);
            for (i, (found, width)) in features.iter().zip(&c.z_dims).enumerate() {
                let must = format!("must be {:?}, one token per patch, z_dims[{i}] wide", [tokens, *width]);
                let (fits, key) = (*found == [tokens, *width], format!("features[{i}]"));
                Problem::unless(&mut problems, fits, "data", &key, format!("{found:?}"), must);
            }
        }
        NetworkConfig::Mmdit(c) => {
            let Some(text) = text else { return problems };
            let pooled = c.pooled_width.map(|wanted| ("pooled", text.pooled, wanted));
            for (what, found, wanted) in [("context", text.context, c.context_width)].into_iter().chain(pooled) {
                let (found_width, must) = (format!("{what} {found} wide"), format!("must be {wanted} wide"));
                Problem::unless(&mut problems, found == wanted, "data", "text", found_width, must);
            }
        }
        NetworkConfig::ResidualMlp(_) | NetworkConfig::Sit(_) | NetworkConfig::Rae(_) => {}
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{MmditConfig, RepaConfig};

    #[test]
    fn every_misfit_is_named_with_both_shapes() {
        let repa = RepaConfig { input_size: 8, patch_size: 2, z_dims: vec![12, 6], ..Default::default() };
        let found = network_misfits(&NetworkConfig::Repa(repa), &[[16, 12], [16, 12]], None);
        assert_eq!(found.len(), 1);
        let message = found[0].to_string();
        assert!(message.starts_with("data.features[1] = [16, 12]: must be [16, 6]"), "{message}");

        let mmdit = MmditConfig { context_width: 6, pooled_width: Some(5), ..Default::default() };
        let of = |context, pooled| {
            let widths = Some(TextWidths { context, pooled });
            network_misfits(&NetworkConfig::Mmdit(mmdit.clone()), &[], widths)
        };
        assert!(of(6, 5).is_empty());
        let messages: Vec<String> = of(7, 4).iter().map(Problem::to_string).collect();
        assert_eq!(
            messages,
            ["data.text = context 7 wide: must be 6 wide", "data.text = pooled 4 wide: must be 5 wide"]
        );
    }
}
