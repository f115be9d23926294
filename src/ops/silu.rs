//! SiLU: x σ(x).
use super::pointwise::{self, Curve};
use super::{lanes, slices};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};
use pulp::Simd;

/// SiLU of `x`, of any shape (Elfwing et al., arXiv 1702.03118).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if slices::fused([slices::side(&x)]) {
        return Tensor::from_dispatch(Dispatch::fused_silu(x.into_dispatch()));
    }
    activation::silu(x)
}

#[derive(Debug)]
struct Sigmoidal;

impl Curve for Sigmoidal {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        s.mul_f32s(x, lanes::sigmoid(s, x))
    }

    /// σ + x σ (1 − σ).
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        let sigma = lanes::sigmoid(s, x);
        let rise = s.mul_f32s(x, s.sub_f32s(s.splat_f32s(1.0), sigma));
        s.mul_add_e_f32s(sigma, rise, sigma)
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedSilu: Backend {
    fn fused_silu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedSilu for Flex {
    fn fused_silu(x: FlexTensor) -> FlexTensor {
        pointwise::forward::<Sigmoidal>(x)
    }
}

impl<C: CheckpointStrategy> FusedSilu for Autodiff<Flex, C> {
    fn fused_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        pointwise::tracked::<Sigmoidal, C>(x)
    }
}
