//! What is done to a tile of scores between the products.
use super::super::lanes::{self, Sums};
use pulp::{Simd, WithSimd};

/// Scores become exp(scale · s − max) of their row; each row's log Σ exp and 1/Σ exp go to the other two.
pub(super) struct Softmax<'a> {
    pub scores: &'a mut [f32],
    pub keys: usize,
    pub scale: f32,
    pub log_sums: &'a mut [f32],
    pub inverse: &'a mut [f32],
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let scale = s.splat_f32s(self.scale);
        let rows = self.scores.chunks_exact_mut(self.keys).zip(self.log_sums).zip(self.inverse);
        for ((row, log_sum), inverse) in rows {
            // The scale is positive, so the largest score stays it.
            let most = lanes::max(s, row) * self.scale;
            let shift = s.splat_f32s(-most);
            let mut sums = Sums::<S>([s.splat_f32s(0.0); 4]);
            let (head, tail) = S::as_mut_simd_f32s(row);
            let (fours, rest) = pulp::as_arrays_mut::<4, _>(head);
            for four in fours {
                for (x, sum) in four.iter_mut().zip(&mut sums.0) {
                    *x = lanes::exp(s, s.mul_add_e_f32s(*x, scale, shift));
                    *sum = s.add_f32s(*sum, *x);
                }
            }
            for x in rest {
                *x = lanes::exp(s, s.mul_add_e_f32s(*x, scale, shift));
                sums.0[0] = s.add_f32s(sums.0[0], *x);
            }
            if !tail.is_empty() {
                let x = lanes::exp(s, s.mul_add_e_f32s(s.partial_load_f32s(tail), scale, shift));
                s.partial_store_f32s(tail, x);
            }
            let sum = sums.total(s) + tail.iter().sum::<f32>();
            *inverse = 1.0 / sum;
            *log_sum = most + sum.ln();
        }
    }
}

/// Multiplies a row by a number.
pub(super) struct Times<'a> {
    pub row: &'a mut [f32],
    pub by: f32,
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let by = s.splat_f32s(self.by);
        lanes::map(
            s,
            self.row,
            #[inline(always)]
            |x| s.mul_f32s(x, by),
        );
    }
}

/// Scores become the weights p = exp(scale · s − log Σ exp).
pub(super) struct Weights<'a> {
    pub scores: &'a mut [f32],
    pub keys: usize,
    pub scale: f32,
    pub log_sums: &'a [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let scale = s.splat_f32s(self.scale);
        for (row, log_sum) in self.scores.chunks_exact_mut(self.keys).zip(self.log_sums) {
            let shift = s.splat_f32s(-log_sum);
            lanes::map(
                s,
                row,
                #[inline(always)]
                |x| lanes::exp(s, s.mul_add_e_f32s(x, scale, shift)),
            );
        }
    }
}

/// Gradients of the weights become those of the products q·k: scale · p (dp − Σ p dp).
pub(super) struct ScoreGradient<'a> {
    pub weights: &'a [f32],
    pub grad: &'a mut [f32],
    pub keys: usize,
    pub scale: f32,
}

impl WithSimd for ScoreGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let scale = s.splat_f32s(self.scale);
        for (p, dp) in self.weights.chunks_exact(self.keys).zip(self.grad.chunks_exact_mut(self.keys)) {
            let mean = s.splat_f32s(lanes::dot(s, p, dp));
            lanes::map2(
                s,
                p,
                dp,
                #[inline(always)]
                |p, dp| s.mul_f32s(s.mul_f32s(p, scale), s.sub_f32s(dp, mean)),
            );
        }
    }
}
