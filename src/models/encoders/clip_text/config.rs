//! The sizes of a text encoder of CLIP and its initial weights.
use super::ClipText;
use super::layer::{ClipLayer, ClipNorm};
use crate::models::encoders::text_weights::TextWeights;
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The standard deviation of initial weights.
const DEVIATION: f64 = 0.02;

/// What stands between the two layers of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClipActivation {
    /// x σ(1.702 x): OpenAI's models.
    QuickGelu,
    /// x Φ(x), exactly: OpenCLIP's models.
    Gelu,
}

/// Sizes of a [`ClipText`], under the names that its `config.json` has in transformers; the defaults are those of CLIP-L.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClipTextConfig {
    /// Tokens there are; the last of them ends a text.
    pub vocab_size: usize,
    /// The longest text in tokens, those that begin and end it included.
    pub max_position_embeddings: usize,
    /// Width of the tokens; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Hidden units of the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// The function within the MLP.
    pub hidden_act: ClipActivation,
    /// Width of the projection of the pooled vector; `null` if there is none, or if it is not wanted.
    pub projection_dim: Option<usize>,
    /// ε of the layer norms, positive.
    pub layer_norm_eps: f64,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self::l()
    }
}

impl ClipTextConfig {
    /// CLIP-L: the text encoder of OpenAI's ViT-L/14, without its projection, which Stable Diffusion 3.5 does not use.
    pub fn l() -> Self {
        Self {
            vocab_size: 49_408,
            max_position_embeddings: 77,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            hidden_act: ClipActivation::QuickGelu,
            projection_dim: None,
            layer_norm_eps: 1e-5,
        }
    }

    /// CLIP-G: the text encoder of OpenCLIP's ViT-bigG/14, with its projection.
    pub fn g() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 20,
            hidden_act: ClipActivation::Gelu,
            projection_dim: Some(1280),
            ..Self::l()
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
            ("max_position_embeddings", self.max_position_embeddings),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("projection_dim", self.projection_dim.unwrap_or(1)),
        ] {
            check(size > 0, key, &size, "must be at least 1");
        }
        let (heads, width) = (self.num_attention_heads, self.hidden_size);
        let divides = heads > 0 && width.is_multiple_of(heads);
        check(divides, "num_attention_heads", &heads, &format!("must divide hidden_size = {width}"));
        let layers = self.num_hidden_layers;
        check(layers <= MOST_BLOCKS, "num_hidden_layers", &layers, &format!("must be at most {MOST_BLOCKS}"));
        let positive = self.layer_norm_eps > 0.0 && self.layer_norm_eps.is_finite();
        check(positive, "layer_norm_eps", &self.layer_norm_eps, "must be positive");
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The encoder with weights that are a pure function of seed 0, N(0, 0.02²), in f32. Official weights are not loaded into it:
    /// [`ClipText::load`] makes the encoder of them.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<ClipText> {
        Error::if_any(self.problems(""))?;
        self.made(&mut TextWeights::seeded(device))
    }

    /// The encoder of `weights`; the configuration has no problems.
    pub(super) fn made(&self, weights: &mut TextWeights<'_>) -> Result<ClipText> {
        let width = self.hidden_size;
        let token_embedding =
            weights.table("text_model.embeddings.token_embedding.weight", [self.vocab_size, width], DEVIATION)?;
        let positions = [self.max_position_embeddings, width];
        let position_embedding =
            weights.table("text_model.embeddings.position_embedding.weight", positions, DEVIATION)?;
        let layers = (0..self.num_hidden_layers)
            .map(|i| ClipLayer::made(self, &format!("text_model.encoder.layers.{i}"), weights, DEVIATION));
        let layers = layers.collect::<Result<_>>()?;
        let final_layer_norm = ClipNorm::made("text_model.final_layer_norm", width, self.layer_norm_eps, weights)?;
        let projection = |outputs| weights.matrix("text_projection.weight", [width, outputs], DEVIATION);
        let text_projection = self.projection_dim.map(projection).transpose()?;
        Ok(ClipText { token_embedding, position_embedding, layers, final_layer_norm, text_projection })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = ClipTextConfig {
            num_attention_heads: 7,
            intermediate_size: 0,
            layer_norm_eps: f64::NAN,
            ..Default::default()
        };
        let paths: Vec<_> = config.problems("clip").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["clip.intermediate_size", "clip.num_attention_heads", "clip.layer_norm_eps"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 3));
        let huge = ClipTextConfig { vocab_size: usize::MAX, ..ClipTextConfig::g() };
        assert!(huge.problems("")[0].to_string().starts_with("vocab_size = "), "{:?}", huge.problems(""));
        assert!(ClipTextConfig::l().problems("").is_empty() && ClipTextConfig::g().problems("").is_empty());
    }
}
