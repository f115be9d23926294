//! The sizes of the decoder and its parameters, counted without allocating any.
use super::RaeDecoder;
use super::decoder_layer::{DecoderLayer, linear, norm};
use crate::models::layers::{ParameterList, WeightInit, as_size, count, product};
use crate::models::sit::sincos_2d;
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Colours of a pixel.
pub(super) const COLOURS: usize = 3;

/// Sizes of a [`RaeDecoder`]; the defaults are the official ViT-XL's for 256 pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RaeDecoderConfig {
    /// Channels of the latent image.
    pub hidden_size: usize,
    /// Width of the tokens; a multiple of 4 and of `heads`.
    pub decoder_hidden_size: usize,
    /// Hidden units of the MLP.
    pub decoder_intermediate_size: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Number of layers.
    pub layers: usize,
    /// Pixels on the side of a patch.
    pub patch_size: usize,
    /// Tokens of the latent image, a square number.
    pub num_patches: usize,
    /// ε of the layer norms, positive.
    pub layer_norm_eps: f64,
}

impl Default for RaeDecoderConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            decoder_hidden_size: 1152,
            decoder_intermediate_size: 4096,
            heads: 16,
            layers: 28,
            patch_size: 16,
            num_patches: 256,
            layer_norm_eps: 1e-12,
        }
    }
}

impl RaeDecoderConfig {
    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        for (key, size) in [
            ("hidden_size", self.hidden_size),
            ("decoder_intermediate_size", self.decoder_intermediate_size),
            ("layers", self.layers),
            ("patch_size", self.patch_size),
        ] {
            check(size > 0, key, &size, "must be at least 1");
        }
        let width = self.decoder_hidden_size;
        let four = width > 0 && width.is_multiple_of(4);
        check(four, "decoder_hidden_size", &width, "must be a positive multiple of 4");
        let divides = self.heads > 0 && width.is_multiple_of(self.heads);
        check(divides, "heads", &self.heads, &format!("must divide decoder_hidden_size = {width}"));
        let square = self.num_patches > 0 && self.grid().pow(2) == self.num_patches;
        check(square, "num_patches", &self.num_patches, "must be a positive square number");
        let positive = self.layer_norm_eps > 0.0 && self.layer_norm_eps.is_finite();
        check(positive, "layer_norm_eps", &self.layer_norm_eps, "must be positive");
        check(self.layers <= MOST_BLOCKS, "layers", &self.layers, &format!("must be at most {MOST_BLOCKS}"));
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The decoder with weights that are a pure function of seed 0, for official weights to be loaded into with
    /// [`import`](crate::models::weights::import) and [`DECODER_OFFICIAL_NAMES`](super::DECODER_OFFICIAL_NAMES).
    /// The official loader lets names be missing on either side; here they must be allowed by name.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<RaeDecoder> {
        Error::if_any(self.problems(""))?;
        let (width, epsilon) = (self.decoder_hidden_size, self.layer_norm_eps);
        let init = &mut WeightInit::new(0, device);
        let mut positions = vec![0.0; width];
        positions.extend(sincos_2d(width, self.grid()).into_iter().map(|v| v as f32));
        Ok(RaeDecoder {
            decoder_pos_embed: init.constant(positions, [1, self.num_patches + 1, width]).no_grad(),
            trainable_cls_token: init.zeros([1, 1, width]),
            decoder_embed: linear(self.hidden_size, width, init),
            decoder_layers: (0..self.layers)
                .map(|_| DecoderLayer::new(width, self.heads, self.decoder_intermediate_size, epsilon, init))
                .collect(),
            decoder_norm: norm(width, epsilon, init),
            decoder_pred: linear(width, self.patch_size.pow(2) * COLOURS, init),
            latent_channels: self.hidden_size,
            grid: self.grid(),
            patch_size: self.patch_size,
        })
    }

    /// Official names and shapes (PyTorch layout) of all parameters, in the order of the official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (width, hidden) = (self.decoder_hidden_size, self.decoder_intermediate_size);
        let mut list =
            ParameterList(vec![("decoder_pos_embed".into(), vec![1, self.num_patches.saturating_add(1), width])]);
        list.one("trainable_cls_token", vec![1, 1, width]);
        list.layer("decoder_embed", vec![width, self.hidden_size]);
        for i in 0..self.layers {
            let name = |rest: &str| format!("decoder_layers.{i}.{rest}");
            for projection in ["attention.query", "attention.key", "attention.value", "output.dense"] {
                list.layer(&name(&format!("attention.{projection}")), vec![width, width]);
            }
            list.layer(&name("intermediate.dense"), vec![hidden, width]);
            list.layer(&name("output.dense"), vec![width, hidden]);
            list.layer(&name("layernorm_before"), vec![width]);
            list.layer(&name("layernorm_after"), vec![width]);
        }
        list.layer("decoder_norm", vec![width]);
        list.layer("decoder_pred", vec![product([self.patch_size, self.patch_size, COLOURS]), width]);
        list.0
    }

    /// The number of parameters, the fixed positions included, as the official code counts them.
    pub fn parameter_count(&self) -> usize {
        as_size(self.numbers())
    }

    /// As [`parameter_count`](Self::parameter_count), of any size.
    pub(crate) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }

    fn grid(&self) -> usize {
        self.num_patches.isqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = RaeDecoderConfig { heads: 7, num_patches: 15, layer_norm_eps: 0.0, ..Default::default() };
        let paths: Vec<_> = config.problems("decoder").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["decoder.heads", "decoder.num_patches", "decoder.layer_norm_eps"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 3));
    }
}
