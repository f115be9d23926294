//! The sizes of a DiT^DH and its named models.
use crate::models::layers::product;
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of a [`Rae`](super::Rae); the defaults are the official constructor's with the DiT^DH-XL grid of 256 pixels.
///
/// Pairs hold the encoder first, then the head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RaeConfig {
    /// Side of the latent image: pixels / 16 for the usual encoder.
    pub input_size: usize,
    /// Side of a patch; must be 1.
    pub patch_size: usize,
    /// Channels of the latent image.
    pub in_channels: usize,
    /// Widths of the tokens; multiples of 4 times the number of heads.
    pub hidden_size: [usize; 2],
    /// Numbers of blocks.
    pub depth: [usize; 2],
    /// Heads of the attention.
    pub num_heads: [usize; 2],
    /// Width of a plain MLP over the width of the tokens; the gated one has two thirds of it.
    pub mlp_ratio: f64,
    /// Probability of dropping a label in training; 0 means there is no null label and no guidance.
    pub class_dropout_prob: f64,
    /// Number of classes.
    pub num_classes: usize,
    /// Whether queries and keys are normalized over the features of a head.
    pub use_qknorm: bool,
    /// Gated MLP; must be true.
    pub use_swiglu: bool,
    /// Rotary positions; must be true.
    pub use_rope: bool,
    /// RMS norm in place of layer norm; must be true.
    pub use_rmsnorm: bool,
    /// Modulation without a shift; must be false.
    pub wo_shift: bool,
    /// Positions added to the tokens of the encoder; must be true.
    pub use_pos_embed: bool,
    /// Whether positions and time frequencies are learned. The official model freezes them, and the official training
    /// unfreezes every parameter: true is what was trained. No key of the official configuration.
    pub train_embeddings: bool,
}

impl Default for RaeConfig {
    fn default() -> Self {
        Self {
            input_size: 16,
            patch_size: 1,
            in_channels: 768,
            hidden_size: [1152, 2048],
            depth: [28, 2],
            num_heads: [16, 16],
            mlp_ratio: 4.0,
            class_dropout_prob: 0.1,
            num_classes: 1000,
            use_qknorm: false,
            use_swiglu: true,
            use_rope: true,
            use_rmsnorm: true,
            wo_shift: false,
            use_pos_embed: true,
            train_embeddings: true,
        }
    }
}

impl RaeConfig {
    /// A model of the paper, `DiTDH-{S,B,L,XL}`, for images of 256 or 512 pixels. DiTDH-S is also the weak model of
    /// autoguidance.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other name or size.
    pub fn named(name: &str, pixels: usize) -> Result<Self> {
        let (width, depth, heads) = match name {
            "DiTDH-S" => (384, 12, 6),
            "DiTDH-B" => (768, 12, 12),
            "DiTDH-L" => (1024, 24, 16),
            "DiTDH-XL" => (1152, 28, 16),
            _ => return Err(Error::Invalid(format!("unknown model `{name}`: must be DiTDH-{{S,B,L,XL}}"))),
        };
        if pixels != 256 && pixels != 512 {
            return Err(Error::Invalid(format!("no {name} for {pixels} pixels: must be 256 or 512")));
        }
        Ok(Self {
            input_size: pixels / 16,
            hidden_size: [width, 2048],
            depth: [depth, 2],
            num_heads: [heads, 16],
            ..Self::default()
        })
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        check(self.input_size > 0, "input_size", &self.input_size, "must be at least 1");
        let one = "must be 1: the official code fails with any other";
        check(self.patch_size == 1, "patch_size", &self.patch_size, one);
        check(self.in_channels > 0, "in_channels", &self.in_channels, "must be at least 1");
        for part in 0..2 {
            let key = |name: &str| format!("{name}[{part}]");
            let (width, heads) = (self.hidden_size[part], self.num_heads[part]);
            check(
                width > 0 && width.is_multiple_of(4),
                &key("hidden_size"),
                &width,
                "must be a positive multiple of 4",
            );
            check(self.depth[part] > 0, &key("depth"), &self.depth[part], "must be at least 1");
            let most = format!("must be at most {MOST_BLOCKS}");
            check(self.depth[part] <= MOST_BLOCKS, &key("depth"), &self.depth[part], &most);
            let divides = heads > 0 && width.is_multiple_of(product([4, heads]));
            let of = if path.is_empty() { String::new() } else { format!("{path}.") };
            let must = format!("times 4 must divide {of}hidden_size[{part}] = {width}, for rotary positions");
            check(divides, &key("num_heads"), &heads, &must);
            let ratio = self.mlp_ratio.is_finite() && self.mlp_ratio * width as f64 >= 1.5;
            let condition = "must be finite and give every gated MLP at least one unit";
            check(ratio || part == 1, "mlp_ratio", &self.mlp_ratio, condition);
        }
        let probability = (0.0..=1.0).contains(&self.class_dropout_prob);
        check(probability, "class_dropout_prob", &self.class_dropout_prob, "must be in [0, 1]");
        check(self.num_classes > 0, "num_classes", &self.num_classes, "must be at least 1");
        let missing = "must be true: the variant without is not built here and no released model uses it";
        check(self.use_swiglu, "use_swiglu", &self.use_swiglu, missing);
        check(self.use_rope, "use_rope", &self.use_rope, "must be true: the official code fails without");
        check(self.use_rmsnorm, "use_rmsnorm", &self.use_rmsnorm, missing);
        check(!self.wo_shift, "wo_shift", &self.wo_shift, "must be false: the official code fails with it");
        check(self.use_pos_embed, "use_pos_embed", &self.use_pos_embed, missing);
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// For each block, 0 if it belongs to the encoder and 1 if to the head.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        let [encoder, head] = self.depth;
        (0..encoder + head).map(move |i| usize::from(i >= encoder))
    }

    pub(super) fn label_rows(&self) -> usize {
        self.num_classes.saturating_add(usize::from(self.class_dropout_prob > 0.0))
    }

    /// Hidden units of the gated MLP, rounded as officially.
    pub(in crate::models) fn mlp_width(&self, part: usize) -> usize {
        let plain = (self.hidden_size[part] as f64 * self.mlp_ratio) as usize;
        (2.0 / 3.0 * plain as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PredictionNetwork;
    use burn::module::Module;
    use burn::tensor::{Device, Int, Tensor};

    fn tiny() -> RaeConfig {
        RaeConfig {
            input_size: 3,
            in_channels: 2,
            hidden_size: [8, 12],
            depth: [1, 1],
            num_heads: [2, 1],
            num_classes: 3,
            ..Default::default()
        }
    }

    #[test]
    fn every_problem_is_named() {
        let config = RaeConfig {
            patch_size: 2,
            num_heads: [16, 7],
            mlp_ratio: f64::NAN,
            use_rope: false,
            wo_shift: true,
            use_swiglu: false,
            ..Default::default()
        };
        let paths: Vec<_> = config.problems("model").into_iter().map(|p| p.path).collect();
        let keys = ["patch_size", "mlp_ratio", "num_heads[1]", "use_swiglu", "use_rope", "wo_shift"];
        assert_eq!(paths, keys.map(|key| format!("model.{key}")));
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 6));
        assert!(RaeConfig::named("DiTDH-M", 256).is_err() && RaeConfig::named("DiTDH-S", 128).is_err());
        assert!(serde_json::from_str::<RaeConfig>(r#"{"depht": [3, 2]}"#).is_err());
    }

    #[test]
    fn the_count_is_that_of_the_module_without_the_rotary_tables() {
        let widths = [tiny(), RaeConfig { hidden_size: [8, 8], use_qknorm: true, ..tiny() }];
        for config in widths {
            let rae = config.init(&Device::flex()).unwrap();
            let tables: usize = config.hidden_size.iter().zip(config.num_heads).map(|(w, h)| 2 * 9 * w / h).sum();
            assert_eq!(rae.num_params(), config.parameter_count() + tables);
        }
    }

    #[test]
    fn a_fresh_network_predicts_zero_and_keeps_the_shape() {
        let device = Device::flex();
        let rae = tiny().init(&device).unwrap();
        let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
        let out = rae.predict(Tensor::ones([2, 2, 3, 3], &device), Tensor::ones([2], &device), &labels).output;
        assert_eq!(out.dims(), [2, 2, 3, 3]);
        assert_eq!(out.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn the_null_label_exists_only_with_class_dropout() {
        let device = Device::flex();
        let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
        let dropped = tiny().init(&device).unwrap().drop_condition(&labels, &[true, false]).unwrap();
        assert_eq!(dropped.into_data().iter::<i64>().collect::<Vec<_>>(), [3, 2]);
        let without = RaeConfig { class_dropout_prob: 0.0, ..tiny() };
        assert!(without.init(&device).unwrap().drop_condition(&labels, &[true, false]).is_none());
    }
}
