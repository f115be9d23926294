//! Distances to `x_s = α x1 + σ x0` for many s: `|x − x_s|² = |x|² − 2 α x·x1 − 2 σ x·x0 + |x_s|²`.
//!
//! Only inner products of x, x1 and x0 are needed: two matrix products for each set of states, after which every s costs
//! one square root per pair, whatever the dimension and the path. Rows are spread over the threads of rayon; sums run in
//! an order that does not depend on how many there are.
use super::truth::{GroundTruth, dot};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of one task that computes distances.
const ROWS: usize = 32;

/// Rows of one matrix product.
const PRODUCT: usize = 128;

/// Inner products within the ground truth. Memory: `12 n²` bytes for n pairs.
#[derive(Debug, Clone)]
pub(super) struct WithinTruth {
    data: Vec<f32>,
    noise: Vec<f32>,
    /// `x1_i · x0_j + x1_j · x0_i`.
    cross: Vec<f32>,
}

impl WithinTruth {
    pub fn new(truth: &GroundTruth) -> Self {
        let product = |a: &[f32], b: &[f32]| products(a, b, truth.dim);
        let (data, noise) = (product(&truth.data, &truth.data), product(&truth.noise, &truth.noise));
        let (one, n) = (product(&truth.data, &truth.noise), truth.count());
        let cross = (0..n * n).map(|place| one[place] + one[place % n * n + place / n]).collect();
        Self { data, noise, cross }
    }

    /// `|x_s|²` of every pair.
    fn squares(&self, truth: &GroundTruth, s: f64) -> Vec<f32> {
        let (n, c) = (truth.count(), truth.path.coefficients(s));
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        let at = |i| alpha * alpha * self.data[i] + sigma * sigma * self.noise[i] + alpha * sigma * self.cross[i];
        (0..n).map(|i| at(i * n + i)).collect()
    }

    /// The mean distance of each sample at `s` to the others.
    pub fn mean_distances(&self, truth: &GroundTruth, s: f64) -> Vec<f64> {
        let (n, c, squares) = (truth.count(), truth.path.coefficients(s), self.squares(truth, s));
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        let block = |start: usize| {
            let (mut sums, mut line) = (vec![0.0; n], vec![0.0_f32; n]);
            for i in start..n.min(start + ROWS) {
                let row = i * n..i * n + i;
                let products = self.data[row.clone()].iter().zip(&self.noise[row.clone()]).zip(&self.cross[row]);
                for ((distance, square), ((data, noise), cross)) in line.iter_mut().zip(&squares).zip(products) {
                    let product = alpha * alpha * data + sigma * sigma * noise + alpha * sigma * cross;
                    *distance = (squares[i] + square - 2.0 * product).max(0.0).sqrt();
                }
                let own = add(&line[..i], &mut sums[..i]);
                sums[i] += own;
            }
            sums
        };
        let starts: Vec<usize> = (0..n).step_by(ROWS).collect();
        let mut sums = total(starts.into_par_iter().map(block).collect(), n);
        sums.iter_mut().for_each(|sum| *sum /= (n - 1) as f64);
        sums
    }
}

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
        let (n, c, truth_squares) = (truth.count(), truth.path.coefficients(s), truth.products().squares(truth, s));
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

/// The sum of vectors of `n` values.
fn total(blocks: Vec<Vec<f64>>, n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// Adds the distances to the sums of the same place, and returns their own sum. In lanes: one sum waits for its last addition.
fn add(distances: &[f32], sums: &mut [f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let (mut all, mut to) = (distances.chunks_exact(LANES), sums.chunks_exact_mut(LANES));
    for (distances, sums) in (&mut all).zip(&mut to) {
        for lane in 0..LANES {
            let distance = f64::from(distances[lane]);
            sums[lane] += distance;
            lanes[lane] += distance;
        }
    }
    for (distance, sum) in all.remainder().iter().zip(to.into_remainder()) {
        *sum += f64::from(*distance);
        lanes[0] += f64::from(*distance);
    }
    lanes.iter().sum()
}

/// `a · b` for every vector of `b` (outer) and of `a` (inner).
fn products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
    let (n, m) = (a.len() / dim, b.len() / dim);
    let mut out = vec![0.0; n * m];
    let left = MatRef::from_column_major_slice(a, dim, n).transpose();
    out.par_chunks_mut(n * PRODUCT).zip(b.par_chunks(dim * PRODUCT)).for_each(|(out, b)| {
        let rows = b.len() / dim;
        let right = MatRef::from_column_major_slice(b, dim, rows);
        matmul(MatMut::from_column_major_slice_mut(out, n, rows), Accum::Replace, left, right, 1.0, Par::Seq);
    });
    out
}
