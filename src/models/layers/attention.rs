//! Multi-head self-attention: softmax(q kᵀ / √d) v, with one projection for q, k and v, and optionally normed q and k.
use super::init::{Law, WeightInit};
use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::module::attention;

/// Self-attention as timm's `Attention` lays it out: `qkv` is `[width, 3 width]`, ordered (q, k, v), then heads.
#[derive(Module, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    q_norm: Option<LayerNorm>,
    k_norm: Option<LayerNorm>,
    proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, law: Law, init: &mut WeightInit) -> Self {
        let (qkv, proj) = (init.linear(width, 3 * width, law), init.linear(width, width, law));
        Self { qkv, q_norm: None, k_norm: None, proj, heads }
    }

    /// The same with a layer norm over the width of a head, with scale, shift and ε = 1e-5, on every q and every k.
    pub fn with_qk_norm(mut self, init: &WeightInit) -> Self {
        let width = self.proj.weight.dims()[0] / self.heads;
        self.q_norm = Some(init.layer_norm(width));
        self.k_norm = Some(init.layer_norm(width));
        self
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = self.qkv.forward(tokens).reshape([batch, count, 3, self.heads, width / self.heads]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2));
        let norm = |layer: &Option<LayerNorm>, x: Tensor<4>| match layer {
            Some(layer) => layer.forward(x),
            None => x,
        };
        let (q, k) = (norm(&self.q_norm, q), norm(&self.k_norm, k));
        let mixed = attention(q, k, v, None, None, Default::default());
        self.proj.forward(mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }
}
