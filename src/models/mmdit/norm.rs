//! Norms whose statistics are computed in f32: the squares of SD3.5's activations overflow f16.
use crate::models::layers::{WeightInit, layer_norm};
use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Tensor};

/// Divides by the root mean square of the last dimension: x / √(mean(x²) + 1e-6) · weight.
#[derive(Module, Debug)]
pub struct HeadNorm {
    weight: Param<Tensor<1>>,
}

impl HeadNorm {
    /// For heads of `size` values; starts with weight 1.
    pub fn new(size: usize, init: &WeightInit) -> Self {
        Self { weight: init.constant(vec![1.0; size], [size]) }
    }

    /// Queries or keys `[batch, tokens, heads, size]`, each head by itself.
    pub fn forward(&self, heads: Tensor<4>) -> Tensor<4> {
        let weight_type = heads.dtype();
        let squares = heads.clone().cast(FloatDType::F32).square().mean_dim(3);
        heads / (squares + 1e-6).sqrt().cast(weight_type) * self.weight.val().unsqueeze()
    }
}

/// The layer norm of tokens `[batch, tokens, width]` with ε = 1e-6.
pub(super) fn token_norm(tokens: Tensor<3>) -> Tensor<3> {
    let weight_type = tokens.dtype();
    layer_norm(tokens.cast(FloatDType::F32), 1e-6).cast(weight_type)
}
