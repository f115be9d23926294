//! One transformer block with adaLN-Zero: x += gate · f(modulate(LN(x), shift, scale)) for attention, then the MLP.
use crate::models::layers::{Law, SelfAttention, WeightInit, linear, linear_gelu};
use crate::ops::{gated, modulate_norm, silu};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// fc2(GELU(fc1(x))).
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    /// `width` to `hidden` and back.
    pub fn new(width: usize, hidden: usize, init: &mut WeightInit) -> Self {
        let law = Law::XavierUniform;
        Self { fc1: init.linear(width, hidden, law), fc2: init.linear(hidden, width, law) }
    }

    /// Maps the last dimension of tokens `[batch, tokens, width]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, linear_gelu(&self.fc1, tokens))
    }
}

/// Attention and MLP, both modulated by the condition.
#[derive(Module, Debug)]
pub struct SitBlock {
    attn: SelfAttention,
    mlp: Mlp,
    modulation: Linear,
}

impl SitBlock {
    /// A block that starts as the identity, since its gates start at zero.
    pub fn new(width: usize, heads: usize, hidden: usize, init: &mut WeightInit) -> Self {
        Self {
            attn: SelfAttention::new(width, heads, Law::XavierUniform, init),
            mlp: Mlp::new(width, hidden, init),
            modulation: init.linear(width, 6 * width, Law::Zeros),
        }
    }

    /// The same with normed queries and keys.
    pub fn with_qk_norm(mut self, init: &WeightInit) -> Self {
        self.attn = self.attn.with_qk_norm(init);
        self
    }

    /// Tokens `[batch, tokens, width]` under the condition `[batch, width]`.
    pub fn forward(&self, tokens: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        self.forward_activated(tokens, silu(condition))
    }

    /// The same for a condition to which SiLU was applied already: all blocks share it.
    pub fn forward_activated(&self, tokens: Tensor<3>, activated: Tensor<2>) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let parts = linear(&self.modulation, activated).unsqueeze_dim::<3>(1);
        let part = |i: usize| parts.clone().narrow(2, i * width, width);
        let mixed = self.attn.forward(modulate_norm(tokens.clone(), part(0), part(1), 1e-6));
        let tokens = gated(tokens, part(2), mixed);
        let mapped = self.mlp.forward(modulate_norm(tokens.clone(), part(3), part(4), 1e-6));
        gated(tokens, part(5), mapped)
    }
}
