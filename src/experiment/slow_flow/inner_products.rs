//! Inner products of ground-truth pairs, and sums over pairs that do not depend on the number of threads.
use crate::path::PathCoefficients;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of one task that computes distances.
pub(super) const ROWS: usize = 32;

/// Rows of one matrix product.
const PRODUCT: usize = 128;

/// The inner product of two vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Inner products within the ground truth. Memory: `12 n²` bytes for n pairs.
#[derive(Debug, Clone)]
pub(super) struct WithinTruth {
    data: Vec<f32>,
    noise: Vec<f32>,
    /// `x1_i · x0_j + x1_j · x0_i`.
    cross: Vec<f32>,
    count: usize,
}

impl WithinTruth {
    /// Of `data` and `noise`, as many vectors of `dim` values.
    pub fn new(data: &[f32], noise: &[f32], dim: usize) -> Self {
        let (one, n) = (products(data, noise, dim), data.len() / dim);
        let (data, noise) = (products(data, data, dim), products(noise, noise, dim));
        let cross = (0..n * n).map(|place| one[place] + one[place % n * n + place / n]).collect();
        Self { data, noise, cross, count: n }
    }

    /// `|x_s|²` of every pair, at the coefficients of s.
    pub fn squares(&self, c: PathCoefficients) -> Vec<f32> {
        let n = self.count;
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        let at = |i| alpha * alpha * self.data[i] + sigma * sigma * self.noise[i] + alpha * sigma * self.cross[i];
        (0..n).map(|i| at(i * n + i)).collect()
    }

    /// The mean distance of each sample to the others, at the coefficients of s.
    pub fn mean_distances(&self, c: PathCoefficients) -> Vec<f64> {
        let (n, squares) = (self.count, self.squares(c));
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

/// The sum of vectors of `n` values.
pub(super) fn total(blocks: Vec<Vec<f64>>, n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// Adds the distances to the sums of the same place, and returns their own sum. In lanes: one sum waits for its last addition.
pub(super) fn add(distances: &[f32], sums: &mut [f64]) -> f64 {
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
pub(super) fn products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
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
