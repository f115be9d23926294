//! GELU by the error function: x Φ(x) = max(x, 0) − |x| Q(|x|), with the tail Q(z) = ½ erfc(z / √2) of the normal law.
//!
//! Q(z) = exp(−z² / 2) · u P(u) with u = 1 / (1 + 0.3 z), where P is the polynomial of degree 7 that fits best for z in
//! [0, 14], to 1.5e-7 of Q: the form of Hastings (1955), with more terms.
use super::pointwise::{self, Curve};
use super::{lanes, slices};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};
use pulp::Simd;

/// The factor of z in u.
const PACE: f32 = 0.3;
/// Where the tail is 0 in f32, and the fit ends.
const END: f32 = 14.0;
/// P, the highest power first.
const P: [f32; 8] = [
    0.035_674_777,
    -0.157_203_11,
    0.206_353_53,
    -0.053_683_672,
    0.128_561_65,
    0.099_913_485,
    0.120_753_96,
    0.119_629_3,
];

/// x Φ(x) of `x`, of any shape (Hendrycks and Gimpel, arXiv 1606.08415): PyTorch's `gelu` without approximation.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if slices::fused([slices::side(&x)]) {
        return Tensor::from_dispatch(Dispatch::fused_exact_gelu(x.into_dispatch()));
    }
    activation::gelu(x)
}

/// exp(−z² / 2) and Q(z) for 0 ≤ z ≤ [`END`].
#[inline(always)]
fn tail<S: Simd>(s: S, z: S::f32s) -> [S::f32s; 2] {
    let one = s.splat_f32s(1.0);
    let u = s.div_f32s(one, s.mul_add_e_f32s(z, s.splat_f32s(PACE), one));
    let mut p = s.splat_f32s(P[0]);
    for coefficient in &P[1..] {
        p = s.mul_add_e_f32s(p, u, s.splat_f32s(*coefficient));
    }
    let bell = lanes::exp(s, s.mul_f32s(s.mul_f32s(z, z), s.splat_f32s(-0.5)));
    [bell, s.mul_f32s(bell, s.mul_f32s(u, p))]
}

/// |x|, at most [`END`]; NaN stays NaN.
#[inline(always)]
fn within<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let (z, end) = (s.abs_f32s(x), s.splat_f32s(END));
    s.select_f32s(s.greater_than_f32s(z, end), end, z)
}

/// The function of one number.
#[derive(Debug)]
struct Exact;

impl Curve for Exact {
    #[inline(always)]
    fn value<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        let z = within(s, x);
        let [_, q] = tail(s, z);
        let positive = s.max_f32s(x, s.splat_f32s(0.0));
        s.sub_f32s(positive, s.mul_f32s(z, q))
    }

    /// Φ(x) + x exp(−x² / 2) / √(2π).
    #[inline(always)]
    fn slope<S: Simd>(s: S, x: S::f32s) -> S::f32s {
        const DENSITY: f32 = 0.398_942_3;
        let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
        let z = within(s, x);
        let [bell, q] = tail(s, z);
        // z exp(−z² / 2) is 0 at the end already.
        let rise = s.mul_f32s(s.mul_f32s(z, s.splat_f32s(DENSITY)), bell);
        let below = s.sub_f32s(q, rise);
        s.select_f32s(s.less_than_f32s(x, zero), below, s.sub_f32s(one, below))
    }
}

#[backend_extension(Flex, Autodiff)]
trait FusedExactGelu: Backend {
    fn fused_exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl FusedExactGelu for Flex {
    fn fused_exact_gelu(x: FlexTensor) -> FlexTensor {
        pointwise::forward::<Exact>(x)
    }
}

impl<C: CheckpointStrategy> FusedExactGelu for Autodiff<Flex, C> {
    fn fused_exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        pointwise::tracked::<Exact, C>(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Φ and the density at `x`, by Simpson's rule from 0.
    fn normal(x: f64) -> [f64; 2] {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (steps, width) = (4000, x / 4000.0);
        let part = |i: usize| density(i as f64 * width) * if i % 2 == 1 { 4.0 } else { 2.0 };
        let inner: f64 = (1..steps).map(part).sum();
        [0.5 + (density(0.0) + inner + density(x)) * width / 3.0, density(x)]
    }

    #[test]
    fn equals_the_integral_of_the_normal_density() {
        let values: Vec<f32> = (-800..=800).map(|i| i as f32 * 0.01).collect();
        let x = Tensor::<1>::from_floats(values.as_slice(), &Device::flex().autodiff()).require_grad();
        let y = gelu(x.clone());
        let slope = x.grad(&y.clone().sum().backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let y = y.into_data().try_to_vec::<f32>().unwrap();
        for ((x, y), slope) in values.iter().zip(y).zip(slope) {
            let x = f64::from(*x);
            let [phi, density] = normal(x);
            assert!((f64::from(y) - x * phi).abs() < 3e-7 * (1.0 + x.abs()), "{x}: {y} instead of {}", x * phi);
            let exact = phi + x * density;
            assert!((f64::from(slope) - exact).abs() < 5e-7, "{x}: slope {slope} instead of {exact}");
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let x = Tensor::<1>::from_floats([f32::NAN, f32::INFINITY, 1e30, -1e30, -20.0, 0.0], &Device::flex());
        let y = gelu(x).into_data().try_to_vec::<f32>().unwrap();
        assert!(y[0].is_nan() && y[1..] == [f32::INFINITY, 1e30, 0.0, 0.0, 0.0], "{y:?}");
    }
}
