//! A linear layer on tokens: x W + b.
use crate::ops;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// `layer` on the last dimension of `x`.
pub(crate) fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    match &layer.bias {
        Some(bias) => ops::linear(x, layer.weight.val(), bias.val()),
        None => layer.forward(x),
    }
}
