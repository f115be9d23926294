//! Self-attention with rotary positions and, if asked for, normalized queries and keys.
use super::rope::Rope;
use crate::models::layers::{Law, Rms, WeightInit, linear};
use crate::ops;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// softmax(q kᵀ / √d) v; q and k are normalized over the features of a head, if at all, and then turned.
#[derive(Module, Debug)]
pub struct RotaryAttention {
    qkv: Linear,
    q_norm: Option<Rms>,
    k_norm: Option<Rms>,
    proj: Linear,
    heads: usize,
}

impl RotaryAttention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, normalized: bool, init: &mut WeightInit) -> Self {
        let norm = |init: &WeightInit| normalized.then(|| Rms::new(width / heads, init));
        Self {
            qkv: init.linear_and_bias(width, 3 * width, Law::FanIn, Law::FanIn),
            q_norm: norm(init),
            k_norm: norm(init),
            proj: init.linear_and_bias(width, width, Law::FanIn, Law::FanIn),
            heads,
        }
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape; `rope` is for as many tokens and this size of head.
    pub fn forward(&self, tokens: Tensor<3>, rope: &Rope) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = linear(&self.qkv, tokens).reshape([batch, count, 3, self.heads, width / self.heads]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2));
        let turned = |x: Tensor<4>, norm: &Option<Rms>| {
            let x = match norm {
                Some(norm) => norm.forward(x),
                None => x,
            };
            rope.rotate(x.swap_dims(1, 2))
        };
        let mixed = ops::attention(turned(q, &self.q_norm), turned(k, &self.k_norm), v.swap_dims(1, 2));
        linear(&self.proj, mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }
}
