//! One transformer block with adaLN-Zero: x += gate · f(modulate(LN(x), shift, scale)) for attention, then the MLP.
use crate::models::layers::{Law, SelfAttention, WeightInit, gelu_tanh, layer_norm, modulate};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::silu;

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
        self.fc2.forward(gelu_tanh(self.fc1.forward(tokens)))
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
        let [_, _, width] = tokens.dims();
        let parts = self.modulation.forward(silu(condition)).unsqueeze_dim::<3>(1);
        let part = |i: usize| parts.clone().narrow(2, i * width, width);
        let mixed = self.attn.forward(modulate(layer_norm(tokens.clone(), 1e-6), part(0), part(1)));
        let tokens = tokens + part(2) * mixed;
        let mapped = self.mlp.forward(modulate(layer_norm(tokens.clone(), 1e-6), part(3), part(4)));
        tokens + part(5) * mapped
    }
}
