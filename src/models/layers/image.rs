//! Layers on images `[batch, channels, height, width]`: convolutions and group norms, through this crate's operations.
use super::{Law, WeightInit};
use crate::ops;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// How the window of a convolution lies and moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Its height and width.
    pub kernel: [usize; 2],
    /// Its steps down and to the right.
    pub stride: [usize; 2],
    /// Zeros above, left, below and right of the image.
    pub padding: [usize; 4],
}

impl Window {
    /// One pixel.
    pub const PIXEL: Self = Self { kernel: [1, 1], stride: [1, 1], padding: [0; 4] };
    /// 3 × 3 pixels that leave the size.
    pub const THREE: Self = Self { kernel: [3, 3], stride: [1, 1], padding: [1; 4] };
}

/// A convolution from `inputs` to `outputs` channels with a bias, in one group.
pub(crate) fn convolution([inputs, outputs]: [usize; 2], window: Window, law: Law, init: &mut WeightInit) -> Conv2d {
    let Window { kernel, stride, padding: [top, left, bottom, right] } = window;
    let fan_in = inputs * kernel[0] * kernel[1];
    Conv2d {
        weight: init.weight([outputs, inputs, kernel[0], kernel[1]], fan_in, outputs, law),
        bias: Some(init.weight([outputs], fan_in, outputs, law)),
        stride,
        kernel_size: kernel,
        dilation: [1, 1],
        groups: 1,
        padding: PaddingConfig2d::Explicit(top, left, bottom, right),
    }
}

/// `layer` on an image.
pub(crate) fn conv2d(layer: &Conv2d, image: Tensor<4>) -> Tensor<4> {
    let padding = match layer.padding {
        PaddingConfig2d::Valid => [(0, 0); 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        PaddingConfig2d::Same => return layer.forward(image),
    };
    let options = ConvOptions::new_with_padding(layer.stride, padding, layer.dilation, layer.groups);
    ops::conv2d(image, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()), options)
}

/// `layer` on an image, or on anything else whose second dimension is the channels.
pub(crate) fn group_norm<const D: usize>(layer: &GroupNorm, image: Tensor<D>) -> Tensor<D> {
    match (&layer.gamma, &layer.beta) {
        (Some(weight), Some(bias)) => ops::group_norm(image, weight.val(), bias.val(), layer.num_groups, layer.epsilon),
        _ => layer.forward(image),
    }
}

/// SiLU of `layer` on an image.
pub(crate) fn group_norm_silu<const D: usize>(layer: &GroupNorm, image: Tensor<D>) -> Tensor<D> {
    match (&layer.gamma, &layer.beta) {
        (Some(weight), Some(bias)) => {
            ops::group_norm_silu(image, weight.val(), bias.val(), layer.num_groups, layer.epsilon)
        }
        _ => ops::silu(layer.forward(image)),
    }
}
