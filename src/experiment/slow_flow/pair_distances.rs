//! Distances to `x_s = α x1 + σ x0` for many s: `|x − x_s|² = |x|² − 2 α x·x1 − 2 σ x·x0 + |x_s|²`.
//!
//! Only inner products of x, x1 and x0 are needed: two matrix products for each set of states, after which every s costs
//! one square root per pair, whatever the dimension and the path. Rows are spread over the threads of rayon; sums run in
//! an order that does not depend on how many there are.
use super::inner_products::{ROWS, add, dot, products, total};
use super::truth::GroundTruth;
use rayon::prelude::*;

/// The inner products of a set of states with the data and the noise, pair by pair for each state.
pub(super) struct FromTruth {
    squares: Vec<f32>,
    data: Vec<f32>,
    noise: Vec<f32>,
}

impl FromTruth {
    pub fn new(truth: &GroundTruth, states: &[f32]) -> Self {
        let squares = states.par_chunks_exact(truth.dim).map(|x| dot(x, x) as f32).collect();
        let product = |other: &[f32]| products(other, states, truth.dim);
        Self { squares, data: product(&truth.data), noise: product(&truth.noise) }
    }

    /// Every `step`-th of the states; all of them where they would be too few. `n` is the size of the ground truth.
    pub fn every(&self, step: usize, n: usize) -> Self {
        let step = if self.squares.len() < 32 * step { 1 } else { step };
        let rows = |all: &[f32]| all.chunks_exact(n).step_by(step).collect::<Vec<_>>().concat();
        Self {
            squares: self.squares.iter().step_by(step).copied().collect(),
            data: rows(&self.data),
            noise: rows(&self.noise),
        }
    }

    /// The mean distance of each state to the ground truth at `s`, and of each sample of that to the states.
    pub fn mean_distances(&self, truth: &GroundTruth, s: f64) -> (Vec<f64>, Vec<f64>) {
        let (n, c, truth_squares) =
            (truth.count(), truth.path.coefficients(s), truth.products().squares(truth.path.coefficients(s)));
        let (alpha, sigma) = (2.0 * c.alpha as f32, 2.0 * c.sigma as f32);
        let block = |(squares, (data, noise)): (&[f32], (&[f32], &[f32]))| {
            let (mut pairs, mut line) = (vec![0.0_f64; n], vec![0.0_f32; n]);
            let rows = squares.iter().zip(data.chunks_exact(n).zip(noise.chunks_exact(n)));
            let states: Vec<f64> = rows
                .map(|(square, (data, noise))| {
                    let others = truth_squares.iter().zip(data.iter().zip(noise));
                    for (distance, (other, (data, noise))) in line.iter_mut().zip(others) {
                        *distance = (square + other - alpha * data - sigma * noise).max(0.0).sqrt();
                    }
                    add(&line, &mut pairs) / n as f64
                })
                .collect();
            (states, pairs)
        };
        let products = self.data.par_chunks(ROWS * n).zip(self.noise.par_chunks(ROWS * n));
        let blocks: Vec<(Vec<f64>, Vec<f64>)> = self.squares.par_chunks(ROWS).zip(products).map(block).collect();
        let (states, pairs): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
        let mut pairs = total(pairs, n);
        pairs.iter_mut().for_each(|sum| *sum /= self.squares.len() as f64);
        (states.concat(), pairs)
    }
}
