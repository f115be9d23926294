//! GELU with the tanh approximation: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))) = x σ(2 √(2/π) (x + 0.044715 x³)).
use super::pointwise::{self, Curve};
use super::{lanes, slices};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use pulp::Simd;

/// 2 √(2/π).
const A: f64 = 2.0 * 0.797_884_560_802_865_4;
const B: f64 = 0.044715;

/// GELU (tanh form) of `x`, of any shape (Hendrycks and Gimpel, arXiv 1606.08415).
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if slices::fused([slices::side(&x)]) {
        return Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()));
    }
    let slope = x.clone().square() * (A * B) + A;
    x.clone() * sigmoid(x * slope)
}

/// The function of one number.
#[derive(Debug)]
pub(super) struct Gelu;

impl Curve for Gelu {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        let [a, ab] = [A, A * B].map(
            #[inline(always)]
            |c| s.splat_f32s(c as f32),
        );
        let slope = s.mul_add_e_f32s(s.mul_f32s(x, x), ab, a);
        s.mul_f32s(x, lanes::sigmoid(s, s.mul_f32s(x, slope)))
    }

    /// σ + x σ (1 − σ) z′, with z = A (x + B x³) and z′ = A (1 + 3 B x²).
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        let [one, a, ab, ab3] = [1.0, A, A * B, 3.0 * A * B].map(
            #[inline(always)]
            |c| s.splat_f32s(c as f32),
        );
        let square = s.mul_f32s(x, x);
        let sigma = lanes::sigmoid(s, s.mul_f32s(x, s.mul_add_e_f32s(square, ab, a)));
        let rise = s.mul_f32s(x, s.mul_add_e_f32s(square, ab3, a));
        s.mul_add_e_f32s(sigma, s.mul_f32s(rise, s.sub_f32s(one, sigma)), sigma)
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedGelu: Backend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedGelu for Flex {
    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        pointwise::forward::<Gelu>(x)
    }
}

impl<C: CheckpointStrategy> FusedGelu for Autodiff<Flex, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        pointwise::tracked::<Gelu, C>(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn equals_the_tanh_formula() {
        let values: Vec<f32> = (-60..=60).map(|i| i as f32 * 0.1).collect();
        let x = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
        let found = gelu_tanh(x).into_data().try_to_vec::<f32>().unwrap();
        for (v, f) in values.iter().zip(found) {
            let v = *v as f64;
            let expected = 0.5 * v * (1.0 + (A / 2.0 * (v + B * v.powi(3))).tanh());
            assert!((expected - f as f64).abs() < 2e-6, "{v}: {f} instead of {expected}");
        }
    }
}
