//! Σ x² over all numbers of a tensor, in sums of a fixed number of them, which are added in f64.
use super::{lanes, slices};
use burn::backend::Flex;
use burn::tensor::{FloatDType, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// The sum of the squares of `x`, of shape `[1]` and in `f32`. Gradients go through it on an autodiff device.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    if slices::side(&x) != Some(slices::Side::Flex) {
        return x.cast(FloatDType::F32).square().sum();
    }
    let device = x.device();
    let x = slices::in_order(x.try_into_primitive::<Flex>().expect("on the CPU, as asked before"));
    let arch = Arch::new();
    let squares = |piece| arch.dispatch(Squares(piece));
    let sum = match slices::elements(&x) {
        small if small.len() <= slices::CHUNK => f64::from(squares(small)),
        large => {
            let sums: Vec<f32> = large.par_chunks(slices::CHUNK).with_min_len(slices::WORTH).map(squares).collect();
            sums.into_iter().map(f64::from).sum()
        }
    };
    Tensor::from_floats([sum as f32], &device)
}

struct Squares<'a>(&'a [f32]);

impl WithSimd for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> f32 {
        lanes::dot(s, self.0, self.0)
    }
}
