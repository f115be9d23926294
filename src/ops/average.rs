//! a ← (x − a)(1 − d) + a, the exponential moving average, in one pass.
use super::{lanes, slices};
use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

/// The average after one more `x` with decay `decay`: as a difference, so that what never changes stays to the last bit.
///
/// Both have one shape. The average is written over where nobody else holds it.
pub fn averaged<const D: usize>(average: Tensor<D>, x: Tensor<D>, decay: f64) -> Tensor<D> {
    let here = |t: &Tensor<D>| slices::side(t) == Some(slices::Side::Flex);
    if !(here(&average) && here(&x) && average.dims() == x.dims()) {
        return (x - average.clone()).mul_scalar(1.0 - decay) + average;
    }
    let [average, x] = [average, x].map(|t| t.try_into_primitive::<Flex>().expect("on the CPU, as asked before"));
    let (arch, x, rest) = (Arch::new(), slices::in_order(x), (1.0 - decay) as f32);
    let x = slices::elements(&x);
    Tensor::from_primitive::<Flex>(slices::mapped(average, |start, average| {
        arch.dispatch(Step { x: &x[start..start + average.len()], average, rest });
    }))
}

struct Step<'a> {
    average: &'a mut [f32],
    x: &'a [f32],
    rest: f32,
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let rest = s.splat_f32s(self.rest);
        // The product and the sum are apart, as in Burn.
        lanes::map2(
            s,
            self.x,
            self.average,
            #[inline(always)]
            |x, average| s.add_f32s(s.mul_f32s(s.sub_f32s(x, average), rest), average),
        );
    }
}
