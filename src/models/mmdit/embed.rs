//! The pooled text on the way in, and the way out.
use crate::models::layers::{Law, WeightInit, layer_norm, modulate};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::silu;

/// Linear(SiLU(Linear(y))).
#[derive(Module, Debug)]
pub struct PooledEmbedding {
    first: Linear,
    second: Linear,
}

impl PooledEmbedding {
    /// From vectors of `inputs` values to `width`; entries N(0, 0.02²).
    pub fn new(inputs: usize, width: usize, init: &mut WeightInit) -> Self {
        let law = Law::Normal { std: 0.02 };
        Self { first: init.linear(inputs, width, law), second: init.linear(width, width, law) }
    }

    /// Embeds `[batch, inputs]` as `[batch, width]`.
    pub fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        self.second.forward(silu(self.first.forward(pooled)))
    }
}

/// Linear(modulate(LN(x), shift, scale)), (shift, scale) = Linear(c); all weights start at zero.
#[derive(Module, Debug)]
pub struct FinalLayer {
    linear: Linear,
    modulation: Linear,
}

impl FinalLayer {
    /// From `width` to `outputs` values per token.
    pub fn new(width: usize, outputs: usize, init: &mut WeightInit) -> Self {
        Self { linear: init.linear(width, outputs, Law::Zeros), modulation: init.linear(width, 2 * width, Law::Zeros) }
    }

    /// Tokens `[batch, tokens, width]` under the condition `[batch, width]`, SiLU already applied, to
    /// `[batch, tokens, outputs]`.
    pub fn forward(&self, tokens: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let parts = self.modulation.forward(condition).unsqueeze_dim::<3>(1);
        let [shift, scale] = [0, 1].map(|i| parts.clone().narrow(2, i * width, width));
        self.linear.forward(modulate(layer_norm(tokens, 1e-6), shift, scale))
    }
}
