//! A linear layer on tokens: x W + b, and GELU of it; with an adapter x W + b + (α/r) · (x A) B.
//!
//! The sum W + (α/r) · A B, which other layers see, would be made in every step, and its gradient is as large as W. Two thin
//! products of x are the same numbers up to rounding.
use crate::ops;
use burn::module::LoraAdapter;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// `layer` on the last dimension of `x`.
pub(crate) fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    match (&layer.bias, layer.weight.adapter()) {
        (Some(bias), None) => ops::linear(x, layer.weight.val(), bias.val()),
        (Some(bias), Some(adapter)) => {
            ops::linear(x.clone(), layer.weight.base(), bias.val()) + thin_products(adapter, x)
        }
        (None, _) => layer.forward(x),
    }
}

/// GELU (tanh form) of `layer` on the last dimension of `x`.
pub(crate) fn linear_gelu<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    match (&layer.bias, layer.weight.adapter()) {
        (Some(bias), None) => ops::linear_gelu(x, layer.weight.val(), bias.val()),
        _ => ops::gelu_tanh(linear(layer, x)),
    }
}

/// (α/r) · (x A) B.
fn thin_products<const D: usize>(adapter: &LoraAdapter, x: Tensor<D>) -> Tensor<D> {
    let mut shape = x.dims();
    let (inputs, outputs) = (shape[D - 1], adapter.b.val().dims()[1]);
    let rows = x.reshape([shape[..D - 1].iter().product(), inputs]);
    shape[D - 1] = outputs;
    rows.matmul(adapter.a.val()).mul_scalar(adapter.scale).matmul(adapter.b.val()).reshape(shape)
}
