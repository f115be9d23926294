//! The sizes of an autoencoder, and the network from them.
use super::AutoencoderKl;
use super::decoder::Decoder;
use super::encoder::Encoder;
use crate::models::layers::{Law, WeightInit, Window, convolution};
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ε of every group norm.
const EPSILON: f64 = 1e-6;
/// Levels that halve a side: a pixel of the last one stands for 32,768 × 32,768.
const MOST_LEVELS: usize = 16;

/// Sizes of an [`AutoencoderKl`], by diffusers' names; the defaults are those of [`AutoencoderKlConfig::sd1`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderKlConfig {
    /// Colours of a pixel, in and out.
    pub in_channels: usize,
    /// Channels of the latent image.
    pub latent_channels: usize,
    /// Channels of each level, from the level of the pixels on; multiples of `norm_num_groups`. Each level but the last
    /// halves height and width.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every norm.
    pub norm_num_groups: usize,
    /// Whether a 1 × 1 convolution stands behind the encoder and another before the decoder.
    pub use_quant_conv: bool,
}

impl Default for AutoencoderKlConfig {
    fn default() -> Self {
        Self::sd1()
    }
}

impl AutoencoderKlConfig {
    /// f8d4, of Stable Diffusion 1 and 2, of `sd-vae-ft-ema` and of `sd-vae-ft-mse`.
    pub fn sd1() -> Self {
        Self {
            in_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            norm_num_groups: 32,
            use_quant_conv: true,
        }
    }

    /// f8d16, of Stable Diffusion 3 and 3.5.
    pub fn sd3() -> Self {
        Self { latent_channels: 16, use_quant_conv: false, ..Self::sd1() }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        check(self.in_channels > 0, "in_channels", &self.in_channels, "must be at least 1");
        check(self.latent_channels > 0, "latent_channels", &self.latent_channels, "must be at least 1");
        let levels = self.block_out_channels.len();
        let some = (1..=MOST_LEVELS).contains(&levels);
        let must = format!("must have 1 to {MOST_LEVELS} levels");
        check(some, "block_out_channels", &format!("{:?}", self.block_out_channels), &must);
        let groups = self.norm_num_groups;
        check(groups > 0, "norm_num_groups", &groups, "must be at least 1");
        for (i, channels) in self.block_out_channels.iter().enumerate().take(MOST_LEVELS) {
            let divides = *channels > 0 && (groups == 0 || channels.is_multiple_of(groups));
            let must = format!("must be a positive multiple of norm_num_groups = {groups}");
            check(divides, &format!("block_out_channels[{i}]"), channels, &must);
        }
        let layers = (1..=MOST_BLOCKS).contains(&self.layers_per_block);
        check(layers, "layers_per_block", &self.layers_per_block, &format!("must be in 1..={MOST_BLOCKS}"));
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// Pixels on the side of the square that one latent pixel stands for.
    pub fn pixels_per_latent(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// The autoencoder with PyTorch's initial law, U(±1/√inputs), as a pure function of seed 0. Official weights come with
    /// [`AutoencoderKl::load`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<AutoencoderKl> {
        self.build(Law::FanIn, device)
    }

    /// The autoencoder with weights and biases of `law`.
    pub(super) fn build(&self, law: Law, device: &Device) -> Result<AutoencoderKl> {
        Error::if_any(self.problems(""))?;
        let make = &mut Make { law, groups: self.norm_num_groups, init: WeightInit::new(0, device) };
        let [moments, latents] = [2, 1].map(|times| [times * self.latent_channels; 2]);
        Ok(AutoencoderKl {
            encoder: Encoder::new(self, make),
            decoder: Decoder::new(self, make),
            quant_conv: self.use_quant_conv.then(|| make.convolution(moments, Window::PIXEL)),
            post_quant_conv: self.use_quant_conv.then(|| make.convolution(latents, Window::PIXEL)),
            colours: self.in_channels,
            latent_channels: self.latent_channels,
            side: self.pixels_per_latent(),
        })
    }
}

/// Makes the layers of an autoencoder, in a fixed order.
pub(super) struct Make {
    law: Law,
    groups: usize,
    init: WeightInit,
}

impl Make {
    /// A convolution from some channels to others.
    pub fn convolution(&mut self, channels: [usize; 2], window: Window) -> burn::nn::conv::Conv2d {
        convolution(channels, window, self.law, &mut self.init)
    }

    /// A linear layer that leaves the number of channels.
    pub fn linear(&mut self, channels: usize) -> burn::nn::Linear {
        self.init.linear_and_bias(channels, channels, self.law, self.law)
    }

    /// A group norm with weight 1 and bias 0.
    pub fn norm(&self, channels: usize) -> burn::nn::GroupNorm {
        burn::nn::GroupNormConfig::new(self.groups, channels).with_epsilon(EPSILON).init(self.init.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = AutoencoderKlConfig {
            latent_channels: 0,
            block_out_channels: vec![64, 100],
            layers_per_block: 0,
            ..Default::default()
        };
        let paths: Vec<_> = config.problems("encoder").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["encoder.latent_channels", "encoder.block_out_channels[1]", "encoder.layers_per_block"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 3));
        let config = AutoencoderKlConfig { block_out_channels: vec![], norm_num_groups: 0, ..Default::default() };
        let paths: Vec<_> = config.problems("").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["block_out_channels", "norm_num_groups"]);
    }

    #[test]
    fn sizes_beyond_every_machine_are_named() {
        let huge = 32 * (1 << 40);
        let config = AutoencoderKlConfig { block_out_channels: vec![32, huge], ..Default::default() };
        let found = config.problems("");
        assert!(found[0].path == "block_out_channels[1]" && found[0].message.contains("parameters"), "{found:?}");
    }

    #[test]
    fn json_has_defaults_and_no_other_keys() {
        let config: AutoencoderKlConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, AutoencoderKlConfig::sd1());
        assert!(serde_json::from_str::<AutoencoderKlConfig>(r#"{"latent_channel": 16}"#).is_err());
        let json = serde_json::to_string(&AutoencoderKlConfig::sd3()).unwrap();
        assert_eq!(serde_json::from_str::<AutoencoderKlConfig>(&json).unwrap(), AutoencoderKlConfig::sd3());
    }
}
