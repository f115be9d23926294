//! 2D convolution: y[o] = b[o] + Σ w[o, i, v, u] x[i] over a window that steps over the image with zeros around it.
//!
//! Forward only: under autodiff, and for groups and spread kernels, Burn's own runs. Images stay `[channels, height, width]`:
//! a task takes some neighbouring places of the result in all channels, lays the windows there side by side and multiplies
//! them with the weights ([`windows`]). Where the kernel is 3 × 3 and steps by one, squares of 2 × 2 results come out of
//! 2.25 times fewer multiplications ([`winograd`]). Kernels of one pixel need no windows ([`pixels`]). The memory beside image, weights and result is that of a task for each
//! core.
mod blocks;
mod geometry;
mod pixels;
mod windows;
mod winograd;

use self::geometry::Geometry;
use super::slices::{self, Side};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor, module};

/// Convolution of `x` `[batch, inputs, height, width]` with `weight` `[outputs, inputs / groups, kernel height, kernel width]`
/// and `bias` `[outputs]`: `[batch, outputs, height out, width out]`, as PyTorch's `conv2d` has it.
///
/// With the padding p₀, p₁ before and after, a side out is ⌊(side + p₀ + p₁ − kernel) / stride⌋ + 1. In `f32` a result of a
/// 3 × 3 kernel that steps by one is within about 1e-6 of the largest product sums around it, and a number that is not finite
/// also reaches the neighbour beside its windows.
///
/// # Panics
/// As Burn's `conv2d`, for channels that do not fit.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    let here = |side: Option<Side>| side == Some(Side::Flex);
    let is_here =
        here(slices::side(&x)) && here(slices::side(&weight)) && bias.as_ref().is_none_or(|b| here(slices::side(b)));
    let fits = |bias: &Tensor<1>| bias.dims() == [weight.dims()[0]];
    match Geometry::of(x.dims(), weight.dims(), &options) {
        Some(geometry) if is_here && bias.as_ref().is_none_or(fits) => {
            let bias = bias.unwrap_or_else(|| Tensor::zeros([geometry.outputs], (&x.device(), DType::F32)));
            let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
            Tensor::from_dispatch(Dispatch::fused_conv2d(x, weight, bias, geometry))
        }
        _ => module::conv2d(x, weight, bias, options),
    }
}

#[backend_extension(Flex)]
trait FusedConv2d: Backend {
    fn fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
}

impl FusedConv2d for Flex {
    fn fused_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, geometry: Geometry) -> FlexTensor {
        let tensors = [x, weight, bias].map(slices::in_order);
        let [x, weight, bias] = tensors.each_ref().map(slices::elements);
        let convolved = match geometry {
            _ if geometry.suits_winograd() => winograd::convolved,
            _ if geometry.is_one_product() => pixels::convolved,
            _ => windows::convolved,
        };
        let y = convolved(x, weight, bias, &geometry);
        slices::tensor(y, geometry.result_shape())
    }
}
