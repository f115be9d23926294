//! One layer of the decoder: x += attention(LN(x)), then x += MLP(LN(x)).
use crate::models::layers::{Law, WeightInit};
use crate::ops::attention;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::gelu;

/// Self-attention with a projection each for q, k and v.
#[derive(Module, Debug)]
pub struct DecoderAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    project: Linear,
    heads: usize,
}

impl DecoderAttention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, init: &mut WeightInit) -> Self {
        let [query, key, value, project] = [(); 4].map(|()| linear(width, width, init));
        Self { query, key, value, project, heads }
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let [q, k, v] = [&self.query, &self.key, &self.value].map(|projection| {
            let heads: Tensor<4> =
                projection.forward(tokens.clone()).reshape([batch, count, self.heads, width / self.heads]);
            heads.swap_dims(1, 2)
        });
        let mixed = attention(q, k, v);
        self.project.forward(mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }
}

/// A pre-norm transformer layer with an exact GELU.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    attention: DecoderAttention,
    expand: Linear,
    contract: Linear,
    layernorm_before: LayerNorm,
    layernorm_after: LayerNorm,
}

impl DecoderLayer {
    /// Tokens of `width`, an MLP with `hidden` units, layer norms with `epsilon`.
    pub fn new(width: usize, heads: usize, hidden: usize, epsilon: f64, init: &mut WeightInit) -> Self {
        Self {
            attention: DecoderAttention::new(width, heads, init),
            expand: linear(width, hidden, init),
            contract: linear(hidden, width, init),
            layernorm_before: norm(width, epsilon, init),
            layernorm_after: norm(width, epsilon, init),
        }
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = self.attention.forward(self.layernorm_before.forward(tokens.clone())) + tokens;
        let hidden = gelu(self.expand.forward(self.layernorm_after.forward(tokens.clone())));
        self.contract.forward(hidden) + tokens
    }
}

/// PyTorch's initial linear layer.
pub(super) fn linear(inputs: usize, outputs: usize, init: &mut WeightInit) -> Linear {
    init.linear_and_bias(inputs, outputs, Law::FanIn, Law::FanIn)
}

/// A layer norm with weight 1 and bias 0.
pub(super) fn norm(width: usize, epsilon: f64, init: &WeightInit) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(epsilon).init(init.device())
}
