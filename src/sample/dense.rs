//! The state between the ends of an accepted step: a polynomial of degree 4.
use super::solve::advance;
use burn::tensor::Tensor;

/// The weights of the slopes in the state at the middle of a step (Shampine; as in torchdiffeq).
const MIDDLE: [f64; 7] = [
    6_025_192_743.0 / 30_085_553_152.0 / 2.0,
    0.0,
    51_252_292_925.0 / 65_400_821_598.0 / 2.0,
    -2_691_868_925.0 / 45_128_329_728.0 / 2.0,
    187_940_372_067.0 / 1_594_534_317_056.0 / 2.0,
    -1_776_094_331.0 / 19_743_644_256.0 / 2.0,
    11_237_099.0 / 235_043_384.0 / 2.0,
];

/// One accepted step of Dormand and Prince.
pub(super) struct Piece<const D: usize> {
    pub start: f64,
    pub width: f64,
    pub from: Tensor<D>,
    pub to: Tensor<D>,
    /// The six slopes of the step and the first of the next.
    pub slopes: Vec<Tensor<D>>,
}

impl<const D: usize> Piece<D> {
    /// The state at `time`, between the start and the end of the step: the polynomial with the states and slopes of
    /// both ends and the state in the middle.
    pub fn at(&self, time: f64) -> Tensor<D> {
        let (h, s) = (self.width, (time - self.start) / self.width);
        let middle = advance(self.from.clone(), &self.slopes, &MIDDLE, h);
        let (s2, s3, s4) = (s * s, s.powi(3), s.powi(4));
        // The coefficients of s, s², s³ and s⁴ gathered by what they multiply.
        let of_from = 1.0 - 11.0 * s2 + 18.0 * s3 - 8.0 * s4;
        let of_to = -5.0 * s2 + 14.0 * s3 - 8.0 * s4;
        let of_middle = 16.0 * s2 - 32.0 * s3 + 16.0 * s4;
        let of_first = h * (s - 4.0 * s2 + 5.0 * s3 - 2.0 * s4);
        let of_last = h * (s2 - 3.0 * s3 + 2.0 * s4);
        self.from.clone().mul_scalar(of_from)
            + self.to.clone().mul_scalar(of_to)
            + middle.mul_scalar(of_middle)
            + self.slopes[0].clone().mul_scalar(of_first)
            + self.slopes[6].clone().mul_scalar(of_last)
    }
}
