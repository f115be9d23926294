//! x · f for one number f, in one pass over all cores.
use super::{lanes, slices};
use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

/// Every element of `x`, of any shape, times `factor`, which is rounded to f32. It is written over where nobody else holds it.
pub fn times<const D: usize>(x: Tensor<D>, factor: f64) -> Tensor<D> {
    if slices::side(&x) != Some(slices::Side::Flex) {
        return x.mul_scalar(factor);
    }
    let x = x.try_into_primitive::<Flex>().expect("on the CPU, as asked before");
    let (arch, factor) = (Arch::new(), factor as f32);
    Tensor::from_primitive::<Flex>(slices::mapped(x, |_, x| arch.dispatch(Times { x, factor })))
}

struct Times<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let factor = s.splat_f32s(self.factor);
        lanes::map(
            s,
            self.x,
            #[inline(always)]
            |x| s.mul_f32s(x, factor),
        );
    }
}
