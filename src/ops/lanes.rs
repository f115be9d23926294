//! Vector arithmetic for the kernels, over `pulp`'s instruction sets.
//!
//! Everything is inlined into the kernel, which is compiled once for each instruction set and chosen at run time.
use pulp::Simd;

/// exp(x), to about 2 units in the last place: 0 below −87.7, infinite above 88.4, and NaN stays NaN.
///
/// x = n ln 2 + r with n whole, exp(r) by the polynomial of Cephes (`expf.c`) on |r| ≤ ln 2 / 2, then times 2ⁿ.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // A comparison with NaN is false, so NaN is not clamped.
    let (low, high) = (s.splat_f32s(-88.0), s.splat_f32s(89.0));
    let x = s.select_f32s(s.less_than_f32s(x, low), low, x);
    let x = s.select_f32s(s.greater_than_f32s(x, high), high, x);
    // Adding 1.5 · 2²³ rounds to the nearest whole number and leaves it in the low bits.
    let magic = s.splat_f32s(12_582_912.0);
    let shifted = s.mul_add_e_f32s(x, s.splat_f32s(std::f32::consts::LOG2_E), magic);
    let n = s.sub_f32s(shifted, magic);
    let r = s.mul_add_e_f32s(n, s.splat_f32s(-0.693_359_4), x);
    let r = s.mul_add_e_f32s(n, s.splat_f32s(2.121_944_4e-4), r);
    let p = s.splat_f32s(1.987_569_2e-4);
    let p = s.mul_add_e_f32s(p, r, s.splat_f32s(1.398_199_9e-3));
    let p = s.mul_add_e_f32s(p, r, s.splat_f32s(8.333_452e-3));
    let p = s.mul_add_e_f32s(p, r, s.splat_f32s(4.166_579_6e-2));
    let p = s.mul_add_e_f32s(p, r, s.splat_f32s(1.666_666_5e-1));
    let p = s.mul_add_e_f32s(p, r, s.splat_f32s(0.5));
    let p = s.mul_add_e_f32s(p, s.mul_f32s(r, r), s.add_f32s(r, s.splat_f32s(1.0)));
    let exponent = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    let power = s.add_u32s(exponent, s.splat_u32s(0x3f80_0000));
    s.mul_f32s(p, s.transmute_f32s_u32s(power))
}

/// σ(x) = 1 / (1 + exp(−x)).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    s.div_f32s(one, s.add_f32s(one, exp(s, s.neg_f32s(x))))
}

/// xᵢ ← f(xᵢ).
#[inline(always)]
pub(super) fn map<S: Simd>(s: S, x: &mut [f32], f: impl Fn(S::f32s) -> S::f32s) {
    let (head, tail) = S::as_mut_simd_f32s(x);
    for x in head {
        *x = f(*x);
    }
    if !tail.is_empty() {
        let y = f(s.partial_load_f32s(tail));
        s.partial_store_f32s(tail, y);
    }
}

/// yᵢ ← f(xᵢ, yᵢ), for as many x as y.
#[inline(always)]
pub(super) fn map2<S: Simd>(s: S, x: &[f32], y: &mut [f32], f: impl Fn(S::f32s, S::f32s) -> S::f32s) {
    let (xs, x_tail) = S::as_simd_f32s(x);
    let (ys, y_tail) = S::as_mut_simd_f32s(y);
    for (x, y) in xs.iter().zip(ys) {
        *y = f(*x, *y);
    }
    if !y_tail.is_empty() {
        let y = f(s.partial_load_f32s(x_tail), s.partial_load_f32s(y_tail));
        s.partial_store_f32s(y_tail, y);
    }
}

/// Four running sums, one after the other for each vector, so that additions need not wait for each other.
#[derive(Clone, Copy)]
pub(super) struct Sums<S: Simd>(pub [S::f32s; 4]);

impl<S: Simd> Sums<S> {
    #[inline(always)]
    pub fn total(self, s: S) -> f32 {
        let [a, b, c, d] = self.0;
        s.reduce_sum_f32s(s.add_f32s(s.add_f32s(a, b), s.add_f32s(c, d)))
    }
}

/// Σ f(xᵢ), where f(0) = 0 unless the length is a multiple of the lanes.
#[inline(always)]
pub(super) fn sum<S: Simd>(s: S, x: &[f32], f: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let (head, tail) = S::as_simd_f32s(x);
    let (fours, rest) = pulp::as_arrays::<4, _>(head);
    let mut sums = Sums::<S>([s.splat_f32s(0.0); 4]);
    for four in fours {
        for (sum, x) in sums.0.iter_mut().zip(four) {
            *sum = s.add_f32s(*sum, f(*x));
        }
    }
    for x in rest {
        sums.0[0] = s.add_f32s(sums.0[0], f(*x));
    }
    if !tail.is_empty() {
        sums.0[1] = s.add_f32s(sums.0[1], f(s.partial_load_f32s(tail)));
    }
    sums.total(s)
}

/// Σ xᵢ yᵢ, for as many x as y.
#[inline(always)]
pub(super) fn dot<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    let (xs, x_tail) = S::as_simd_f32s(x);
    let (ys, y_tail) = S::as_simd_f32s(y);
    let (x_fours, x_rest) = pulp::as_arrays::<4, _>(xs);
    let (y_fours, y_rest) = pulp::as_arrays::<4, _>(ys);
    let mut sums = Sums::<S>([s.splat_f32s(0.0); 4]);
    for (x, y) in x_fours.iter().zip(y_fours) {
        for (i, sum) in sums.0.iter_mut().enumerate() {
            *sum = s.mul_add_e_f32s(x[i], y[i], *sum);
        }
    }
    for (x, y) in x_rest.iter().zip(y_rest) {
        sums.0[0] = s.mul_add_e_f32s(*x, *y, sums.0[0]);
    }
    if !x_tail.is_empty() {
        sums.0[1] = s.mul_add_e_f32s(s.partial_load_f32s(x_tail), s.partial_load_f32s(y_tail), sums.0[1]);
    }
    sums.total(s)
}

/// The largest of `x`, −∞ without any. NaN may get lost: who divides by a sum of exponentials finds it there.
#[inline(always)]
pub(super) fn max<S: Simd>(s: S, x: &[f32]) -> f32 {
    let (head, tail) = S::as_simd_f32s(x);
    let (fours, rest) = pulp::as_arrays::<4, _>(head);
    let mut most = [s.splat_f32s(f32::NEG_INFINITY); 4];
    for four in fours {
        for (most, x) in most.iter_mut().zip(four) {
            *most = s.max_f32s(*most, *x);
        }
    }
    for x in rest {
        most[0] = s.max_f32s(most[0], *x);
    }
    let [a, b, c, d] = most;
    let most = s.reduce_max_f32s(s.max_f32s(s.max_f32s(a, b), s.max_f32s(c, d)));
    tail.iter().fold(most, |most, x| most.max(*x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Exp<'a>(&'a mut [f32]);

    impl WithSimd for Exp<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) {
            map(
                s,
                self.0,
                #[inline(always)]
                |x| exp(s, x),
            );
        }
    }

    #[test]
    fn exp_is_that_of_f64_and_keeps_what_is_not_finite() {
        for arch in [Arch::new(), Arch::Scalar] {
            let x: Vec<f32> = (-870..=880).map(|i| i as f32 * 0.1).collect();
            let mut y = x.clone();
            arch.dispatch(Exp(&mut y));
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(*x).exp();
                assert!((f64::from(*y) - exact).abs() <= 2.5e-7 * exact, "{x}: {y} instead of {exact}");
            }
            let mut far = [f32::NAN, f32::NEG_INFINITY, -1e30, -88.0, f32::INFINITY, 100.0];
            arch.dispatch(Exp(&mut far));
            assert!(far[0].is_nan() && far[1..] == [0.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY], "{far:?}");
        }
    }
}
