//! The pooled text on the way in.
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::silu;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

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
        linear(&self.second, silu(linear(&self.first, pooled)))
    }
}
