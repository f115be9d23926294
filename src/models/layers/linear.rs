//! A linear layer on tokens: x W + b, and GELU of it.
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

/// GELU (tanh form) of `layer` on the last dimension of `x`.
pub(crate) fn linear_gelu<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    match &layer.bias {
        Some(bias) => ops::linear_gelu(x, layer.weight.val(), bias.val()),
        None => ops::gelu_tanh(layer.forward(x)),
    }
}
