//! `2 E|X − Y| − E|X − X'| − E|Y − Y'|`: the energy distance, zero only between equal distributions.
//!
//! Source: Székely and Rizzo (2013), *Energy statistics: a class of statistics based on distances*.
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, get_global_parallelism};

/// Rows of each side compared at once: the memory is a square of this, not of the sample size.
const BLOCK: usize = 256;

/// Which pairs the averages within one sample set run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairAverage {
    /// Distinct pairs, divided by `n (n − 1)`: unbiased (U-statistic), may come out slightly negative.
    Distinct,
    /// All pairs, divided by `n²`: never negative, too large by `O(1/n)` (V-statistic).
    All,
}

/// The unbiased energy distance of two sample sets, each one vector of `dim` values after the other.
/// # Errors
/// As [`energy_distance_with`].
pub fn energy_distance(a: &[f32], b: &[f32], dim: usize) -> Result<f64> {
    energy_distance_with(a, b, dim, PairAverage::Distinct)
}

/// The energy distance with a choice of estimator; time `O((n + m)² dim)`.
/// # Errors
/// [`Error::Invalid`] if `dim` is 0, a set is no whole number of vectors, has fewer than two of
/// them, or holds a value that is not finite.
pub fn energy_distance_with(a: &[f32], b: &[f32], dim: usize, average: PairAverage) -> Result<f64> {
    for (name, values) in [("first", a), ("second", b)] {
        if dim == 0 || !values.len().is_multiple_of(dim) || values.len() / dim < 2 {
            let count = values.len();
            let message = format!("{name} set of {count} values: must hold at least 2 vectors of {dim} values each");
            return Err(Error::Invalid(message));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!("{name} set: every value must be finite")));
        }
    }
    let (n, m) = ((a.len() / dim) as f64, (b.len() / dim) as f64);
    let less = if average == PairAverage::Distinct { 1.0 } else { 0.0 };
    let center = mean(a, dim);
    let within = |values: &[f32], n: f64| total(values, values, &center, true) / (n * (n - less));
    let between = total(a, b, &center, false) / (n * m);
    Ok(2.0 * between - within(a, n) - within(b, m))
}

/// Subtracting a common centre keeps `|x|² + |y|² − 2 x·y` from cancelling.
fn mean(values: &[f32], dim: usize) -> Vec<f64> {
    let mut sums = vec![0.0; dim];
    for row in values.chunks_exact(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (values.len() / dim) as f64;
    sums.iter().map(|sum| sum / count).collect()
}

/// The sum of `|x − y|` over all pairs; `same` says that both are one set, of which half is computed.
fn total(a: &[f32], b: &[f32], center: &[f64], same: bool) -> f64 {
    let size = BLOCK * center.len();
    let mut sum = 0.0;
    for (i, left) in a.chunks(size).map(|rows| Block::new(rows, center)).enumerate() {
        let skip = if same { i } else { 0 };
        for (j, right) in b.chunks(size).enumerate().skip(skip) {
            let block = left.distances(&Block::new(right, center), same && i == j);
            sum += if same && i != j { 2.0 * block } else { block };
        }
    }
    sum
}

struct Block {
    dim: usize,
    /// Centred vectors, one after the other.
    values: Vec<f64>,
    /// `|x|²` of each.
    squares: Vec<f64>,
}

impl Block {
    fn new(rows: &[f32], center: &[f64]) -> Self {
        let values: Vec<f64> = rows
            .chunks_exact(center.len())
            .flat_map(|row| row.iter().zip(center).map(|(x, center)| f64::from(*x) - center))
            .collect();
        let squares = values.chunks_exact(center.len()).map(|row| row.iter().map(|x| x * x).sum()).collect();
        Self { dim: center.len(), values, squares }
    }

    fn columns(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.values, self.dim, self.squares.len())
    }

    /// The sum of distances to the vectors of `other`; `same` leaves out the diagonal, which is 0 but for rounding.
    fn distances(&self, other: &Self, same: bool) -> f64 {
        let mut products = Mat::<f64>::zeros(self.squares.len(), other.squares.len());
        let (left, right) = (self.columns().transpose(), other.columns());
        matmul(&mut products, Accum::Replace, left, right, 1.0, get_global_parallelism());
        let mut sum = 0.0;
        for (j, y) in other.squares.iter().enumerate() {
            for (i, x) in self.squares.iter().enumerate() {
                if !(same && i == j) {
                    sum += (x + y - 2.0 * products[(i, j)]).max(0.0).sqrt();
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};

    fn gaussian(count: u64, dim: usize, seed: u64, shift: f32) -> Vec<f32> {
        let keys: Vec<_> = (0..count).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        normal(&keys, Purpose::Data, &[dim]).try_to_vec::<f32>().unwrap().iter().map(|x| x + shift).collect()
    }

    fn naive(a: &[f32], b: &[f32], dim: usize) -> f64 {
        let square = |x: &f32, y: &f32| (f64::from(*x) - f64::from(*y)).powi(2);
        let distance = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| square(x, y)).sum::<f64>().sqrt();
        let sum = |a: &[f32], b: &[f32]| {
            a.chunks(dim).map(|x| b.chunks(dim).map(|y| distance(x, y)).sum::<f64>()).sum::<f64>()
        };
        let (n, m) = ((a.len() / dim) as f64, (b.len() / dim) as f64);
        2.0 * sum(a, b) / (n * m) - sum(a, a) / (n * (n - 1.0)) - sum(b, b) / (m * (m - 1.0))
    }

    #[test]
    fn blocks_agree_with_the_definition() {
        let (a, b) = (gaussian(600, 5, 1, 100.0), gaussian(300, 5, 2, 100.3));
        let (fast, slow) = (energy_distance(&a, &b, 5).unwrap(), naive(&a, &b, 5));
        assert!((fast - slow).abs() < 1e-9, "{fast} {slow}");
    }

    #[test]
    fn two_points_each_by_hand() {
        // Between: 2, 3, 1, 2, mean 2; within: 1 and 1.
        let (a, b) = ([0.0, 1.0], [2.0, 3.0]);
        assert!((energy_distance(&a, &b, 1).unwrap() - 2.0).abs() < 1e-12);
        assert!((energy_distance_with(&a, &b, 1, PairAverage::All).unwrap() - 3.0).abs() < 1e-12);
        assert!(energy_distance_with(&a, &a, 1, PairAverage::All).unwrap().abs() < 1e-12);
    }

    #[test]
    fn equal_distributions_are_nearer_than_shifted_ones() {
        let (a, same, shifted) = (gaussian(500, 3, 1, 0.0), gaussian(500, 3, 2, 0.0), gaussian(500, 3, 3, 0.5));
        let (near, far) = (energy_distance(&a, &same, 3).unwrap(), energy_distance(&a, &shifted, 3).unwrap());
        assert!(near.abs() < 0.03 && far > 0.1, "{near} {far}");
    }

    #[test]
    fn unusable_sets_are_errors() {
        let good = [0.0, 1.0, 2.0, 3.0];
        for bad in [&[][..], &[1.0, 2.0], &[1.0, 2.0, 3.0], &[1.0, f32::NAN, 0.0, 0.0]] {
            assert!(energy_distance(bad, &good, 2).is_err());
            assert!(energy_distance(&good, bad, 2).is_err());
        }
        assert!(energy_distance(&good, &good, 0).is_err());
    }
}
