//! The one place where the network convolves.
use super::layers::Conv;
use crate::ops::conv2d;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// W ∗ x + b of `x` `[batch, inputs, height, width]`.
pub(super) fn conv(x: Tensor<4>, layer: &Conv) -> Tensor<4> {
    let options = ConvOptions::new([layer.stride; 2], layer.padding, [1, 1], 1);
    conv2d(x, layer.weight.val(), Some(layer.bias.val()), options)
}
