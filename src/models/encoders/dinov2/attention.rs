//! Self-attention softmax(q kᵀ / √d) v, with q, k and v from one projection, and as files with three projections hold it.
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::self_attention;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

/// Attention with one projection `[width, 3 width]`, ordered (q, k, v), then heads.
#[derive(Module, Debug)]
pub struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl Attention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, law: Law, init: &mut WeightInit) -> Self {
        Self { qkv: init.linear(width, 3 * width, law), proj: init.linear(width, width, law), heads }
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = linear(&self.qkv, tokens).reshape([batch, count, 3, self.heads, width / self.heads]);
        linear(&self.proj, self_attention(qkv))
    }
}

/// The same weights in three projections, for loading only.
#[derive(Module, Debug)]
pub struct SplitAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    proj: Linear,
    heads: usize,
}

impl SplitAttention {
    /// As [`Attention::new`], with weights of zero.
    pub fn zeros(width: usize, heads: usize, init: &mut WeightInit) -> Self {
        let [query, key, value, proj] = [(); 4].map(|()| init.linear(width, width, Law::Zeros));
        Self { query, key, value, proj, heads }
    }

    /// Queries, keys and values side by side.
    pub fn joined(self) -> Attention {
        let parts = [self.query, self.key, self.value];
        let weights = parts.iter().map(|part| part.weight.val().detach()).collect();
        let biases = parts.iter().filter_map(|part| part.bias.as_ref()).map(|bias| bias.val().detach()).collect();
        let (weight, bias) = (Param::from_tensor(Tensor::cat(weights, 1)), Param::from_tensor(Tensor::cat(biases, 0)));
        Attention { qkv: Linear { weight, bias: Some(bias) }, proj: self.proj, heads: self.heads }
    }
}
