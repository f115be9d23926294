//! `2 E|X − Y| − E|X − X'| − E|Y − Y'|`: the energy distance, zero only between equal distributions.
//!
//! Source: Székely and Rizzo (2013), *Energy statistics: a class of statistics based on distances*.
use super::tiles::{self, Samples, Tile, squared_distance};
use crate::Result;

/// Which pairs the averages within one sample set run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairAverage {
    /// Distinct pairs, divided by `n (n − 1)`: unbiased (U-statistic), may come out slightly negative.
    Distinct,
    /// All pairs, divided by `n²`: never negative, too large by `O(1/n)` (V-statistic).
    All,
}

/// The unbiased energy distance of two sample sets, each one vector of `dim` values after the other.
///
/// At least 0 in expectation; near 0 the estimate itself may be slightly negative. There is no bias at any sample
/// size, so sets of different sizes may be compared.
/// # Errors
/// As [`energy_distance_with`].
pub fn energy_distance<T: Copy + Into<f64>>(a: &[T], b: &[T], dim: usize) -> Result<f64> {
    energy_distance_with(a, b, dim, PairAverage::Distinct)
}

/// The energy distance with a choice of estimator, in f64.
///
/// Time `O((n + m)² dim)` in matrix products on one core, memory `O(n + m)` beside the sets.
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) if `dim` is 0, a set is no whole number of vectors, has fewer than two
/// of them, or holds a value that is not finite in f32.
pub fn energy_distance_with<T: Copy + Into<f64>>(a: &[T], b: &[T], dim: usize, average: PairAverage) -> Result<f64> {
    let (a, b) = (Samples::new("first", a, dim, 2)?, Samples::new("second", b, dim, 2)?);
    let center = a.mean();
    let mut sum = 0.0;
    tiles::between(&a, &b, &center, |tile| sum += distances(tile));
    let between = sum / (a.count() as f64 * b.count() as f64);
    let less = if average == PairAverage::Distinct { 1.0 } else { 0.0 };
    let within = |set: &Samples<T>| {
        let (n, mut sum) = (set.count() as f64, 0.0);
        tiles::within(set, &center, |tile| sum += if tile.diagonal { 1.0 } else { 2.0 } * distances(tile));
        sum / (n * (n - less))
    };
    Ok(2.0 * between - within(&a) - within(&b))
}

/// The sum of `|x − y|` over the pairs of a tile.
fn distances(tile: &Tile<'_>) -> f64 {
    let column = |(j, y): (usize, &f64)| {
        tiles::sum_of(tile.rows, tile.column(j), |x, product| squared_distance(x, *y, product).sqrt())
    };
    tile.columns.iter().enumerate().map(column).sum()
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
