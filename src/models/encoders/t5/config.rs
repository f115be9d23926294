//! The sizes of an encoder of T5 and its initial weights.
use super::T5Encoder;
use super::block::T5Block;
use super::parameters::{DISTANCES, FINAL_NORM, SHARED};
use crate::models::encoders::text_weights::TextWeights;
use crate::models::layers::product;
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of a [`T5Encoder`] with a gated GELU, under the names that its `config.json` has in transformers; the defaults are those
/// of T5 v1.1 XXL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct T5EncoderConfig {
    /// Tokens there are, those that no tokenizer gives included.
    pub vocab_size: usize,
    /// Width of the tokens.
    pub d_model: usize,
    /// Width of a head.
    pub d_kv: usize,
    /// Hidden units of the MLP.
    pub d_ff: usize,
    /// Number of layers.
    pub num_layers: usize,
    /// Heads of the attention.
    pub num_heads: usize,
    /// Biases of a head, each for a range of distances; a multiple of 4.
    pub relative_attention_num_buckets: usize,
    /// Distances from here on have one bias; more than a quarter of the buckets.
    pub relative_attention_max_distance: usize,
    /// ε of the norms, positive.
    pub layer_norm_epsilon: f64,
}

impl Default for T5EncoderConfig {
    fn default() -> Self {
        Self::xxl()
    }
}

impl T5EncoderConfig {
    /// T5 v1.1 XXL.
    pub fn xxl() -> Self {
        Self {
            vocab_size: 32_128,
            d_model: 4096,
            d_kv: 64,
            d_ff: 10_240,
            num_layers: 24,
            num_heads: 64,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
        }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("num_layers", self.num_layers),
            ("num_heads", self.num_heads),
        ] {
            check(size > 0, key, &size, "must be at least 1");
        }
        let layers = self.num_layers;
        check(layers <= MOST_BLOCKS, "num_layers", &layers, &format!("must be at most {MOST_BLOCKS}"));
        let (buckets, distance) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        let four = buckets > 0 && buckets.is_multiple_of(4);
        check(four, "relative_attention_num_buckets", &buckets, "must be a positive multiple of 4");
        let exact = buckets / 4;
        check(
            distance > exact,
            "relative_attention_max_distance",
            &distance,
            &format!("must be more than {exact}, a quarter of the buckets"),
        );
        let positive = self.layer_norm_epsilon > 0.0 && self.layer_norm_epsilon.is_finite();
        check(positive, "layer_norm_epsilon", &self.layer_norm_epsilon, "must be positive");
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The encoder with weights that are a pure function of seed 0, in f32: 19 GB for XXL. Official weights are not loaded into it:
    /// [`T5Encoder::load`] makes the encoder of them.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<T5Encoder> {
        Error::if_any(self.problems(""))?;
        self.made(&mut TextWeights::seeded(device))
    }

    /// The encoder of `weights`; the configuration has no problems.
    pub(super) fn made(&self, weights: &mut TextWeights<'_>) -> Result<T5Encoder> {
        let width = self.d_model;
        let deviation = (product([self.num_heads, self.d_kv]) as f64).sqrt().recip();
        let shared = weights.table(SHARED, [self.vocab_size, width], 1.0)?;
        let distances = weights.table(DISTANCES, [self.relative_attention_num_buckets, self.num_heads], deviation)?;
        let blocks = (0..self.num_layers).map(|i| T5Block::made(self, &format!("encoder.block.{i}.layer"), weights));
        let blocks = blocks.collect::<Result<_>>()?;
        Ok(T5Encoder {
            shared,
            distances,
            blocks,
            final_norm: weights.vector(FINAL_NORM, width, 1.0)?,
            max_distance: self.relative_attention_max_distance,
            epsilon: self.layer_norm_epsilon,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = T5EncoderConfig {
            d_kv: 0,
            relative_attention_num_buckets: 30,
            relative_attention_max_distance: 7,
            layer_norm_epsilon: 0.0,
            ..T5EncoderConfig::xxl()
        };
        let paths: Vec<_> = config.problems("t5").into_iter().map(|p| p.path).collect();
        let keys = [
            "t5.d_kv",
            "t5.relative_attention_num_buckets",
            "t5.relative_attention_max_distance",
            "t5.layer_norm_epsilon",
        ];
        assert_eq!(paths, keys);
        assert!(T5EncoderConfig::xxl().problems("").is_empty());
        let huge = T5EncoderConfig { num_heads: usize::MAX, ..T5EncoderConfig::xxl() };
        assert!(huge.problems("")[0].to_string().starts_with("num_heads = "), "{:?}", huge.problems(""));
    }
}
