//! One transformer block, x += gate · f(modulate(RMS(x), shift, scale)), and the final layer.
use super::attention::RotaryAttention;
use super::rope::Rope;
use super::swiglu::SwiGlu;
use crate::models::layers::{Law, Rms, WeightInit, linear};
use crate::ops::{gated, modulate};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// Attention and SwiGLU, both modulated by the condition, which may differ from token to token.
#[derive(Module, Debug)]
pub struct RaeBlock {
    norm1: Rms,
    norm2: Rms,
    attn: RotaryAttention,
    mlp: SwiGlu,
    modulation: Linear,
}

impl RaeBlock {
    /// A block that starts as the identity, since its gates start at zero. `normalized` is for queries and keys.
    pub fn new(width: usize, heads: usize, hidden: usize, normalized: bool, init: &mut WeightInit) -> Self {
        Self {
            norm1: Rms::new(width, init),
            norm2: Rms::new(width, init),
            attn: RotaryAttention::new(width, heads, normalized, init),
            mlp: SwiGlu::new(width, hidden, init),
            modulation: init.linear(width, 6 * width, Law::Zeros),
        }
    }

    /// Tokens `[batch, tokens, width]` under SiLU of the condition, `[batch, 1 or tokens, width]`: officially every
    /// modulation takes that SiLU itself, and all blocks share the condition.
    pub fn forward(&self, tokens: Tensor<3>, activated: Tensor<3>, rope: &Rope) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let parts = linear(&self.modulation, activated);
        let part = |i: usize| parts.clone().narrow(2, i * width, width);
        let mixed = self.attn.forward(modulate(self.norm1.forward(tokens.clone()), part(0), part(1)), rope);
        let tokens = gated(tokens, part(2), mixed);
        let mapped = self.mlp.forward(modulate(self.norm2.forward(tokens.clone()), part(3), part(4)));
        gated(tokens, part(5), mapped)
    }
}

/// Linear(modulate(RMS(x), shift, scale)), (shift, scale) = Linear(SiLU(condition)); the linear weights start at zero.
#[derive(Module, Debug)]
pub struct RaeFinalLayer {
    norm_final: Rms,
    linear: Linear,
    modulation: Linear,
}

impl RaeFinalLayer {
    /// From `width` to `outputs` values per token.
    pub fn new(width: usize, outputs: usize, init: &mut WeightInit) -> Self {
        Self {
            norm_final: Rms::new(width, init),
            linear: init.linear(width, outputs, Law::Zeros),
            modulation: init.linear(width, 2 * width, Law::Zeros),
        }
    }

    /// Tokens `[batch, tokens, width]` under SiLU of the condition, of the same shape, to `[batch, tokens, outputs]`.
    pub fn forward(&self, tokens: Tensor<3>, activated: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let parts = linear(&self.modulation, activated);
        let [shift, scale] = [0, 1].map(|i| parts.clone().narrow(2, i * width, width));
        linear(&self.linear, modulate(self.norm_final.forward(tokens), shift, scale))
    }
}
