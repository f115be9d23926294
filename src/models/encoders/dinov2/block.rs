//! One block: x += γ₁ · attention(LN(x)), then x += γ₂ · MLP(LN(x)), with an exact GELU.
use super::attention::{Attention, SplitAttention};
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::{affine_layer_norm, gated, gelu, layer_norm};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{DType, Tensor};

/// The ε of every layer norm.
pub(super) const EPSILON: f64 = 1e-6;

/// A gate γ for each channel, the same for every token.
#[derive(Module, Debug)]
pub struct LayerScale {
    gamma: Param<Tensor<1>>,
}

impl LayerScale {
    /// residual + γ · x, both `[batch, tokens, width]`.
    fn added(&self, residual: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
        gated(residual, self.gamma.val().unsqueeze(), x)
    }
}

/// Two linear layers with an exact GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, gelu(linear(&self.fc1, tokens)))
    }
}

/// A pre-norm transformer block whose branches have a gate for each channel; `A` is its attention.
#[derive(Module, Debug)]
pub struct Block<A: Module> {
    norm1: LayerNorm,
    attn: A,
    ls1: LayerScale,
    norm2: LayerNorm,
    mlp: Mlp,
    ls2: LayerScale,
}

impl<A: Module> Block<A> {
    /// Tokens of `width`, an MLP with `hidden` units, gates of 1.
    pub fn new(attn: A, width: usize, hidden: usize, law: Law, init: &mut WeightInit) -> Self {
        let mlp = Mlp { fc1: init.linear(width, hidden, law), fc2: init.linear(hidden, width, law) };
        let [ls1, ls2] = [(); 2].map(|()| LayerScale { gamma: init.constant(vec![1.0; width], [width]) });
        let [norm1, norm2] = [(); 2].map(|()| fresh_norm(width, init));
        Self { norm1, attn, ls1, norm2, mlp, ls2 }
    }
}

impl Block<Attention> {
    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = self.ls1.added(tokens.clone(), self.attn.forward(normed(&self.norm1, tokens)));
        self.ls2.added(tokens.clone(), self.mlp.forward(normed(&self.norm2, tokens)))
    }
}

impl Block<SplitAttention> {
    /// The block with one projection for queries, keys and values.
    pub fn joined(self) -> Block<Attention> {
        let Self { norm1, attn, ls1, norm2, mlp, ls2 } = self;
        Block { norm1, attn: attn.joined(), ls1, norm2, mlp, ls2 }
    }
}

/// A layer norm with weight 1 and bias 0.
pub(super) fn fresh_norm(width: usize, init: &WeightInit) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(EPSILON).init(init.device())
}

/// `layer` on the last dimension of `x`, whose statistics are computed in f32 whatever the type of the weights.
pub(super) fn normed(layer: &LayerNorm, x: Tensor<3>) -> Tensor<3> {
    match (&layer.beta, x.dtype()) {
        (Some(beta), DType::F32) => affine_layer_norm(x, layer.gamma.val(), beta.val(), EPSILON),
        (Some(beta), _) => layer_norm(x, EPSILON) * layer.gamma.val().unsqueeze() + beta.val().unsqueeze(),
        (None, _) => layer_norm(x, EPSILON) * layer.gamma.val().unsqueeze(),
    }
}
