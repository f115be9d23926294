//! Group norm, and SiLU of it: two passes over the numbers, one that measures and one that changes.
use super::lanes;
use super::slices::{self, Side};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, FloatDType, Tensor, activation};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// (x − mean) / √(variance + epsilon) · weight + bias of `x` `[batch, channels, ..]`, with the mean and the biased variance of
/// each of `groups` equal groups of neighbouring channels, and `weight` and `bias` `[channels]` (Wu and He, arXiv 1803.08494).
///
/// Forward in `f32` on the CPU; under autodiff, on other devices and in other types plain Burn, whose sums are `f32`.
///
/// # Panics
/// If `groups` does not divide the channels.
pub fn group_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
) -> Tensor<D> {
    normed(x, weight, bias, Spec { groups, epsilon, silu: false })
}

/// [`silu`](super::silu()) of [`group_norm`].
///
/// # Panics
/// As [`group_norm`].
pub fn group_norm_silu<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
) -> Tensor<D> {
    normed(x, weight, bias, Spec { groups, epsilon, silu: true })
}

/// What is done to each group.
#[derive(Debug, Clone, Copy)]
struct Spec {
    groups: usize,
    epsilon: f64,
    silu: bool,
}

fn normed<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, spec: Spec) -> Tensor<D> {
    let channels = x.dims()[1];
    let divides = spec.groups > 0 && channels.is_multiple_of(spec.groups);
    assert!(divides, "group_norm: {} groups must divide {channels} channels", spec.groups);
    let sides = [slices::side(&x), slices::side(&weight), slices::side(&bias)];
    let fits = weight.dims() == [channels] && bias.dims() == [channels] && x.dims().into_iter().all(|side| side > 0);
    if fits && sides.into_iter().all(|side| side == Some(Side::Flex)) {
        let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return Tensor::from_dispatch(Dispatch::fused_group_norm(x, weight, bias, spec));
    }
    let y = plain(x, weight, bias, spec);
    if spec.silu { activation::silu(y) } else { y }
}

fn plain<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, spec: Spec) -> Tensor<D> {
    let (shape, original): ([usize; D], FloatDType) = (x.dims(), DType::into(x.dtype()));
    let of_group = shape[1..].iter().product::<usize>() / spec.groups;
    let x: Tensor<3> = x.reshape([shape[0], spec.groups, of_group]).cast(FloatDType::F32);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let normed = (centred / (variance + spec.epsilon).sqrt()).cast(original).reshape(shape);
    let mut of_channel = [1; D];
    of_channel[1] = shape[1];
    normed * weight.reshape(of_channel) + bias.reshape(of_channel)
}

/// Σ x and Σ (x − mean)² of numbers that lie in the caches.
struct Measure<'a>(&'a [f32]);

impl WithSimd for Measure<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> [f64; 2] {
        let sum = lanes::sum(
            s,
            self.0,
            #[inline(always)]
            |x| x,
        );
        let mean = sum / self.0.len() as f32;
        let middle = s.splat_f32s(mean);
        // The rest is apart, since the lanes beyond the end would count as −mean.
        let (whole, rest) = self.0.split_at(self.0.len() - self.0.len() % S::F32_LANES);
        let squares = lanes::sum(
            s,
            whole,
            #[inline(always)]
            |x| {
                let centred = s.sub_f32s(x, middle);
                s.mul_f32s(centred, centred)
            },
        );
        let squares = rest.iter().fold(squares, |sum, x| sum + (x - mean) * (x - mean));
        [f64::from(sum), f64::from(squares)]
    }
}

/// Mean and biased variance, out of pieces of a fixed size: Σ (x − mean)² is that of each piece and of their means.
fn mean_and_variance(arch: Arch, group: &[f32]) -> [f64; 2] {
    let count = group.len() as f64;
    let pieces: Vec<_> =
        group.chunks(slices::CHUNK).map(|piece| (piece.len() as f64, arch.dispatch(Measure(piece)))).collect();
    let mean = pieces.iter().map(|(_, [sum, _])| sum).sum::<f64>() / count;
    // The piece was centred with a rounded mean, which is no further from its own than rounding.
    let squares = pieces.iter().map(|(count, [sum, squares])| squares + count * (sum / count - mean).powi(2));
    [mean, squares.sum::<f64>() / count]
}

/// x · rate + shift, and SiLU of it.
struct Change<'a> {
    x: &'a mut [f32],
    rate: f32,
    shift: f32,
    silu: bool,
}

impl WithSimd for Change<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (rate, shift) = (s.splat_f32s(self.rate), s.splat_f32s(self.shift));
        let silu = self.silu;
        lanes::map(
            s,
            self.x,
            #[inline(always)]
            |x| {
                let y = s.mul_add_e_f32s(x, rate, shift);
                if silu { s.mul_f32s(y, lanes::sigmoid(s, y)) } else { y }
            },
        );
    }
}

#[backend_extension(Flex)]
trait FusedGroupNorm: Backend {
    fn fused_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        spec: Spec,
    ) -> FloatTensor<Self>;
}

impl FusedGroupNorm for Flex {
    fn fused_group_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, spec: Spec) -> FlexTensor {
        let arch = Arch::new();
        let shape = x.layout().shape().clone();
        let (batch, channels) = (shape[0], shape[1]);
        let [x, weight, bias] = [x, weight, bias].map(slices::in_order);
        let of_group = slices::elements(&x).len() / (batch * spec.groups);
        let groups = slices::elements(&x).par_chunks_exact(of_group).with_min_len(slices::worth(of_group));
        let measured: Vec<[f64; 2]> = groups.map(|group| mean_and_variance(arch, group)).collect();
        let per_group = channels / spec.groups;
        let (weight, bias) = (slices::elements(&weight), slices::elements(&bias));
        let of_channel = |row: usize| {
            let [mean, variance] = measured[row / per_group];
            let rate = f64::from(weight[row % channels]) / (variance + spec.epsilon).sqrt();
            [rate as f32, (f64::from(bias[row % channels]) - mean * rate) as f32]
        };
        let of_channels: Vec<[f32; 2]> = (0..batch * channels).map(of_channel).collect();
        let width = of_group / per_group;
        slices::mapped(x, |start, piece| {
            for (row, _, x) in slices::rows_of(piece, start, width) {
                let [rate, shift] = of_channels[row];
                arch.dispatch(Change { x, rate, shift, silu: spec.silu });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn groups_have_mean_zero_and_variance_one() {
        let device = Device::flex();
        let x: Vec<f32> = (0..2 * 6 * 5000).map(|i| 100.0 + (i * 7919 % 1013) as f32 + (i / 10_000) as f32).collect();
        let x = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([2, 6, 50, 100]);
        let (one, zero) = (Tensor::ones([6], &device), Tensor::zeros([6], &device));
        let y = group_norm(x, one, zero, 3, 1e-6).into_data().try_to_vec::<f32>().unwrap();
        for group in y.chunks(10_000) {
            let mean = group.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e4;
            let variance = group.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 1e4;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }
}
