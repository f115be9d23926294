//! The sizes of an MMDiT from the names and shapes in a file, as the official loader finds them.
use super::{CHECKPOINT_PREFIX, HEAD_SIZE, MmditConfig};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// How many tensors that do not fit an error names.
const NAMED: usize = 5;

impl MmditConfig {
    /// The sizes of the network in a file, from its names and shapes (PyTorch layout).
    ///
    /// If any name starts with [`CHECKPOINT_PREFIX`], those that do are looked at, without it. Tensors that no MMDiT
    /// has are not looked at. The depth is the width / 64, and blocks with `x_block.attn2` have dual attention.
    ///
    /// # Errors
    /// [`Error::Weights`] naming what is missing or has an impossible shape.
    pub fn from_shapes(shapes: &BTreeMap<String, Vec<usize>>) -> Result<Self> {
        let file = File::new(shapes);
        let [width, in_channels, patch_size, _] = file.dims("x_embedder.proj.weight")?;
        if width == 0 || !width.is_multiple_of(HEAD_SIZE) {
            return Err(refused(format!("its width {width} is not a multiple of {HEAD_SIZE}")));
        }
        let depth = width / HEAD_SIZE;
        let [_, positions, _] = file.dims("pos_embed")?;
        let pos_embed_max_size = positions.isqrt();
        let [_, context_width] = file.dims("context_embedder.weight")?;
        let pooled = "y_embedder.mlp.0.weight";
        let pooled_width = if file.has(pooled) { Some(file.dims::<2>(pooled)?[1]) } else { None };
        let [mlp_width, _] = file.dims("joint_blocks.0.x_block.mlp.fc1.weight")?;
        let mut config = Self {
            input_size: Self::default().input_size.min(patch_size * pos_embed_max_size),
            patch_size,
            in_channels,
            depth,
            pos_embed_max_size,
            pooled_width,
            context_width,
            mlp_ratio: mlp_width as f64 / width as f64,
            dual_attention: (0..depth)
                .filter(|i| file.has(&format!("joint_blocks.{i}.x_block.attn2.qkv.weight")))
                .collect(),
            qk_norm: file.has("joint_blocks.0.context_block.attn.ln_k.weight"),
        };
        config.input_size -= config.input_size.checked_rem(patch_size).unwrap_or(0);
        if config.mlp_width() < mlp_width {
            // The division rounded down.
            config.mlp_ratio = config.mlp_ratio.next_up();
        }
        if let Some(problem) = config.problems("").first() {
            return Err(refused(problem.to_string()));
        }
        let unfit: Vec<String> =
            config.parameters().into_iter().filter_map(|(name, s)| file.unfit(&name, &s)).collect();
        if unfit.is_empty() {
            return Ok(config);
        }
        let more = unfit.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Err(refused(unfit[..unfit.len().min(NAMED)].join(", ") + &more))
    }
}

fn refused(reason: String) -> Error {
    Error::Weights(format!("not the names and shapes of an MMDiT: {reason}"))
}

struct File<'a> {
    shapes: &'a BTreeMap<String, Vec<usize>>,
    prefix: &'static str,
}

impl<'a> File<'a> {
    fn new(shapes: &'a BTreeMap<String, Vec<usize>>) -> Self {
        let prefixed = shapes.keys().any(|name| name.starts_with(CHECKPOINT_PREFIX));
        Self { shapes, prefix: if prefixed { CHECKPOINT_PREFIX } else { "" } }
    }

    fn get(&self, name: &str) -> Option<&'a Vec<usize>> {
        self.shapes.get(&format!("{}{name}", self.prefix))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn dims<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let shape = self.get(name).ok_or_else(|| refused(format!("`{name}` is missing")))?;
        shape.as_slice().try_into().map_err(|_| refused(format!("`{name}` has shape {shape:?}, not {D} dimensions")))
    }

    /// Why the tensor `name` does not have this shape, if it does not.
    fn unfit(&self, name: &str, shape: &[usize]) -> Option<String> {
        match self.get(name) {
            Some(found) if found == shape => None,
            Some(found) => Some(format!("`{name}` has shape {found:?} instead of {shape:?}")),
            None => Some(format!("`{name}` is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> (MmditConfig, BTreeMap<String, Vec<usize>>) {
        let config = MmditConfig::default();
        let shapes = config.parameters().into_iter().collect();
        (config, shapes)
    }

    #[test]
    fn a_configuration_comes_back_from_its_own_shapes() {
        let (config, shapes) = medium();
        assert_eq!(MmditConfig::from_shapes(&shapes).unwrap(), config);
        let mut prefixed: BTreeMap<_, _> =
            shapes.into_iter().map(|(name, shape)| (format!("{CHECKPOINT_PREFIX}{name}"), shape)).collect();
        prefixed.insert("first_stage_model.decoder.conv_in.weight".into(), vec![512, 16, 3, 3]);
        assert_eq!(MmditConfig::from_shapes(&prefixed).unwrap(), config);
        let other = MmditConfig { pooled_width: None, qk_norm: false, mlp_ratio: 49.0 / 64.0, depth: 3, ..config };
        let other = MmditConfig { dual_attention: vec![1], input_size: 8, pos_embed_max_size: 4, ..other };
        assert_eq!(MmditConfig::from_shapes(&other.parameters().into_iter().collect()).unwrap(), other);
    }

    #[test]
    fn every_width_of_the_mlp_comes_back() {
        for width in 1..200 {
            let config = MmditConfig { depth: 1, dual_attention: vec![], ..Default::default() };
            let mut shapes: BTreeMap<_, _> = config.parameters().into_iter().collect();
            for (name, shape) in shapes.iter_mut().filter(|(name, _)| name.contains("mlp.fc")) {
                let axis = usize::from(name.contains("fc2.weight"));
                if !name.contains("fc2.bias") {
                    shape[axis] = width;
                }
            }
            assert_eq!(MmditConfig::from_shapes(&shapes).unwrap().mlp_width(), width);
        }
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let reason = |shapes: &BTreeMap<String, Vec<usize>>| {
            let error = MmditConfig::from_shapes(shapes).unwrap_err();
            assert!(matches!(error, Error::Weights(_)), "{error}");
            error.to_string()
        };
        assert!(reason(&BTreeMap::new()).contains("`x_embedder.proj.weight` is missing"));
        let (_, whole) = medium();
        let mut shapes = whole.clone();
        shapes.insert("x_embedder.proj.weight".into(), vec![1537, 16, 2, 2]);
        assert!(reason(&shapes).contains("1537"));
        shapes.insert("x_embedder.proj.weight".into(), vec![1536, 64]);
        assert!(reason(&shapes).contains("[1536, 64]"));
        let mut shapes = whole.clone();
        shapes.insert("pos_embed".into(), vec![1, 147_457, 1536]);
        assert!(reason(&shapes).contains("[1, 147457, 1536] instead of [1, 147456, 1536]"));
        let mut shapes = whole;
        shapes.retain(|name, _| !name.contains("joint_blocks.7."));
        let message = reason(&shapes);
        assert!(message.contains("`joint_blocks.7.context_block.attn.qkv.weight` is missing"), "{message}");
        assert!(message.contains("more"), "{message}");
    }
}
