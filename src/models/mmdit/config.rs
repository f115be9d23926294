//! The sizes of an MMDiT, its named models and its initial weights.
use super::{HALF_FEATURES, HEAD_SIZE, JointBlock, Mmdit, PooledEmbedding};
use crate::models::layers::{Law, TimestepEmbedding, WeightInit, product};
use crate::models::sit::{FinalLayer, PatchEmbedding, sincos_2d};
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of a [`Mmdit`]; the defaults are those of Stable Diffusion 3.5 Medium at 1024 pixels.
///
/// Tokens are `64 * depth` wide and there are `depth` heads of 64 values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmditConfig {
    /// Side of the square latents trained on: pixels / 8. The network itself takes any height and width.
    pub input_size: usize,
    /// Side of a patch; divides `input_size`.
    pub patch_size: usize,
    /// Channels of the latent.
    pub in_channels: usize,
    /// Number of joint blocks, and of heads.
    pub depth: usize,
    /// Side, in patches, of the largest square there are positions for.
    pub pos_embed_max_size: usize,
    /// Width of the pooled text; `null` if the network takes none.
    pub pooled_width: Option<usize>,
    /// Width of the text tokens.
    pub context_width: usize,
    /// Width of the MLP over that of the tokens.
    pub mlp_ratio: f64,
    /// The blocks, in increasing order, whose image tokens attend to themselves as well.
    pub dual_attention: Vec<usize>,
    /// Whether queries and keys are divided by their root mean square.
    pub qk_norm: bool,
}

impl Default for MmditConfig {
    fn default() -> Self {
        Self {
            input_size: 128,
            patch_size: 2,
            in_channels: 16,
            depth: 24,
            pos_embed_max_size: 384,
            pooled_width: Some(2048),
            context_width: 4096,
            mlp_ratio: 4.0,
            dual_attention: (0..=12).collect(),
            qk_norm: true,
        }
    }
}

impl MmditConfig {
    /// A released model: `sd3.5-medium`, `sd3.5-large` (its Turbo is the same network) or `sd3-medium`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other name.
    pub fn named(name: &str) -> Result<Self> {
        let plain = Self { pos_embed_max_size: 192, dual_attention: Vec::new(), ..Self::default() };
        match name {
            "sd3.5-medium" => Ok(Self::default()),
            "sd3.5-large" => Ok(Self { depth: 38, ..plain }),
            "sd3-medium" => Ok(Self { qk_norm: false, ..plain }),
            _ => {
                Err(Error::Invalid(format!("unknown model `{name}`: must be sd3.5-medium, sd3.5-large or sd3-medium")))
            }
        }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        let largest = self.patch_size.saturating_mul(self.pos_embed_max_size);
        check(
            self.input_size > 0 && self.input_size <= largest,
            "input_size",
            &self.input_size,
            "must be at least 1 and at most patch_size * pos_embed_max_size",
        );
        check(
            self.patch_size > 0 && self.input_size.is_multiple_of(self.patch_size),
            "patch_size",
            &self.patch_size,
            &format!("must divide input_size = {}", self.input_size),
        );
        check(self.in_channels > 0, "in_channels", &self.in_channels, "must be at least 1");
        check(self.depth > 0, "depth", &self.depth, "must be at least 1");
        let side = self.pos_embed_max_size;
        check(side > 0, "pos_embed_max_size", &side, "must be at least 1");
        check(self.pooled_width != Some(0), "pooled_width", &0, "must be at least 1, or null");
        check(self.context_width > 0, "context_width", &self.context_width, "must be at least 1");
        let ratio = self.mlp_ratio.is_finite() && self.mlp_ratio * self.width() as f64 >= 1.0;
        check(ratio, "mlp_ratio", &self.mlp_ratio, "must be finite and give the MLP at least one unit");
        let blocks = &self.dual_attention;
        let ordered = blocks.windows(2).all(|pair| pair[0] < pair[1]) && blocks.last().is_none_or(|i| *i < self.depth);
        let must = format!("must be increasing and below depth = {}", self.depth);
        check(ordered, "dual_attention", &format!("{blocks:?}"), &must);
        check(self.depth <= MOST_BLOCKS, "depth", &self.depth, &format!("must be at most {MOST_BLOCKS}"));
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The network with the initial law and seed 0; see [`MmditConfig::init_seeded`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<Mmdit> {
        self.init_seeded(0, device)
    }

    /// The network with SiT's initial law, since Stability publishes none: Xavier for linear layers, N(0, 0.02²) for
    /// the timestep and the pooled text, zero for every modulation and the final layer, one for norms, and the
    /// positions are sines and cosines of the row and column. The weights are a pure function of `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<Mmdit> {
        Error::if_any(self.problems(""))?;
        let (width, side) = (self.width(), self.pos_embed_max_size);
        let mut init = WeightInit::new(seed, device);
        let positions = sincos_2d(width, side).into_iter().map(|v| v as f32).collect();
        let law = Law::Normal { std: 0.02 };
        Ok(Mmdit {
            pos_embed: init.constant(positions, [1, side * side, width]).no_grad(),
            x_embedder: PatchEmbedding::new(self.in_channels, self.patch_size, width, &mut init),
            t_embedder: TimestepEmbedding::new(HALF_FEATURES, width, law, &mut init),
            y_embedder: self.pooled_width.map(|inputs| PooledEmbedding::new(inputs, width, &mut init)),
            context_embedder: init.linear(self.context_width, width, Law::XavierUniform),
            joint_blocks: (0..self.depth)
                .map(|i| {
                    let (dual, last) = (self.dual_attention.contains(&i), i + 1 == self.depth);
                    JointBlock::new(width, self.mlp_width(), self.qk_norm, dual, last, &mut init)
                })
                .collect(),
            final_layer: FinalLayer::new(width, self.patch_size.pow(2) * self.in_channels, &mut init),
            patch_size: self.patch_size,
            pos_embed_max_size: side,
            skipped: Vec::new(),
        })
    }

    /// The width of the tokens, `64 * depth`.
    pub fn width(&self) -> usize {
        product([HEAD_SIZE, self.depth])
    }

    pub(super) fn mlp_width(&self) -> usize {
        (self.width() as f64 * self.mlp_ratio) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::TextCondition;
    use super::*;
    use crate::network::PredictionNetwork;
    use burn::tensor::Tensor;

    fn tiny() -> MmditConfig {
        MmditConfig {
            input_size: 4,
            in_channels: 3,
            depth: 2,
            pos_embed_max_size: 4,
            pooled_width: Some(6),
            context_width: 5,
            mlp_ratio: 0.5,
            dual_attention: vec![1],
            ..Default::default()
        }
    }

    #[test]
    fn every_problem_is_named() {
        let config = MmditConfig {
            input_size: 9,
            pos_embed_max_size: 4,
            pooled_width: Some(0),
            mlp_ratio: f64::NAN,
            dual_attention: vec![0, 24],
            ..Default::default()
        };
        let paths: Vec<_> = config.problems("model").into_iter().map(|p| p.path).collect();
        assert_eq!(
            paths,
            ["input_size", "patch_size", "pooled_width", "mlp_ratio", "dual_attention"].map(|k| format!("model.{k}"))
        );
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 5));
        assert!(MmditConfig::named("sd3.5-huge").is_err());
        assert!(serde_json::from_str::<MmditConfig>(r#"{"dual_atention": []}"#).is_err());
        assert!(tiny().problems("").is_empty());
    }

    #[test]
    fn the_count_is_that_of_the_module() {
        for config in [tiny(), MmditConfig { pooled_width: None, qk_norm: false, ..tiny() }] {
            let positions = config.pos_embed_max_size.pow(2) * config.width();
            let network = config.init(&Device::flex()).unwrap();
            assert_eq!(network.num_params(), config.parameter_count() + positions);
        }
    }

    #[test]
    fn a_fresh_network_predicts_zero_and_keeps_any_shape_it_accepts() {
        let device = Device::flex();
        let network = tiny().init(&device).unwrap();
        let text = TextCondition::new(Tensor::ones([2, 7, 5], &device), Some(Tensor::ones([2, 6], &device)));
        let out = network.predict(Tensor::ones([2, 3, 4, 8], &device), Tensor::ones([2], &device), &text).output;
        assert_eq!(out.dims(), [2, 3, 4, 8]);
        assert_eq!(out.abs().max().into_scalar::<f32>(), 0.0);
        assert!(network.check_size(4, 8).is_ok());
        for (height, width) in [(0, 4), (3, 4), (4, 10)] {
            assert!(matches!(network.check_size(height, width), Err(Error::Invalid(_))));
        }
    }
}
