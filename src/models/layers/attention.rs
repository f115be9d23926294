//! Multi-head self-attention: softmax(q kᵀ / √d) v, with one projection for q, k and v.
use super::init::{Law, WeightInit};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::module::attention;

/// Self-attention as timm's `Attention` lays it out: `qkv` is `[width, 3 width]`, ordered (q, k, v), then heads.
#[derive(Module, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, law: Law, init: &mut WeightInit) -> Self {
        Self { qkv: init.linear(width, 3 * width, law), proj: init.linear(width, width, law), heads }
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = self.qkv.forward(tokens).reshape([batch, count, 3, self.heads, width / self.heads]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2));
        let mixed = attention(q, k, v, None, None, Default::default());
        self.proj.forward(mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }
}
