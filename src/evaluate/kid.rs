//! `E k(X, X') + E k(Y, Y') − 2 E k(X, Y)` with `k(x, y) = (x·y / d + 1)³`: the squared maximum mean discrepancy.
//!
//! On Inception features it is the KID of Bińkowski et al. 2018 ([arXiv 1801.01401](https://arxiv.org/abs/1801.01401)).
use super::tiles::{self, Samples, Tile};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Result};
use rand::seq::index;

/// The 97.5 % quantile of the standard normal distribution.
const QUANTILE: f64 = 1.959_963_984_540_054;

/// An unbiased kernel distance with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// The estimate; at least 0 in expectation, itself negative about as often as not between equal laws.
    pub value: f64,
    /// Its standard error over draws of both sample sets.
    pub standard_error: f64,
}

impl KernelDistance {
    /// The normal 95 % interval `value ± 1.96 standard_error`; between equal laws it holds 0 about that often.
    pub fn interval(&self) -> [f64; 2] {
        let half = QUANTILE * self.standard_error;
        [self.value - half, self.value + half]
    }
}

/// The kernel distance of two sample sets, vectors of `dim` values one after the other, over all pairs.
///
/// `Σ_{i≠j} k(x_i, x_j) / n(n−1) + Σ_{i≠j} k(y_i, y_j) / m(m−1) − 2 Σ_{ij} k(x_i, y_j) / nm`, in f64. Unbiased at any sample
/// size, so sets of different sizes may be compared. The standard error is the jackknife's, leaving out one vector at a
/// time: consistent between different laws, up to √2 too large between equal ones, where the estimate is degenerate.
///
/// Time `O((n + m)² dim)` in matrix products, memory `O(n + m)` beside the sets. The whole sets give the least error;
/// [`kid_subsets`] gives the figures that are published.
/// # Errors
/// [`Error::Invalid`] if `dim` is 0, a set is no whole number of vectors, has fewer than three of them, or holds a value
/// that is not finite in f32.
pub fn kid<T: Copy + Into<f64>>(a: &[T], b: &[T], dim: usize) -> Result<KernelDistance> {
    Ok(distance(&Samples::new("first", a, dim, 3)?, &Samples::new("second", b, dim, 3)?))
}

/// How the subsets of [`kid_subsets`] are drawn; the default is that of the published numbers, 100 of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KidSubsets {
    /// How many, at least 2.
    pub count: usize,
    /// Vectors of either set in each, at least 3 and fewer than either set has.
    pub size: usize,
    /// Subset `k` is a function of this and `k` alone.
    pub seed: u64,
}

/// What [`kid_subsets`] finds: published as `distance.value ± deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsetDistance {
    /// The mean over the subsets, with its standard error over draws of both sample sets.
    pub distance: KernelDistance,
    /// The standard deviation of the subsets' distances, with denominator `count − 1`: the error of one subset.
    pub deviation: f64,
}

impl Default for KidSubsets {
    fn default() -> Self {
        Self { count: 100, size: 1000, seed: 0 }
    }
}

/// The mean of the kernel distances of random subsets, and their deviation: the two figures published as "KID ± std".
///
/// Each subset is drawn without replacement from either set. Their deviation is the error of one subset, not of the mean;
/// divided by `√count` it would ignore that subsets share vectors. The standard error is
/// `deviation · √(size / (n − size) + 1 / count)` with the `n` of the smaller set: the subsampling variance scaled to the
/// whole set (consistent between different laws, too large between equal ones), and the randomness of the choice.
///
/// Unbiased. Time `O(count · size² dim)`.
/// # Errors
/// Those of [`kid`], and [`Error::Invalid`] for a count or a size out of range.
pub fn kid_subsets<T: Copy + Into<f64>>(a: &[T], b: &[T], dim: usize, subsets: &KidSubsets) -> Result<SubsetDistance> {
    let sets = [Samples::new("first", a, dim, 3)?, Samples::new("second", b, dim, 3)?];
    let KidSubsets { count, size, seed } = *subsets;
    let smaller = sets[0].count().min(sets[1].count());
    if count < 2 || size < 3 || size >= smaller {
        let message = format!(
            "{count} subsets of {size} vectors: must be at least 2, of at least 3 and fewer than the {smaller} of the \
             smaller set"
        );
        return Err(Error::Invalid(message));
    }
    let values: Vec<f64> = (0..count as u64)
        .map(|position| {
            let drawn = [0, 1].map(|set| {
                let mut rng = SampleKey { seed, epoch: set as u64, position }.rng(Purpose::Shuffle);
                sets[set].select(&index::sample(&mut rng, sets[set].count(), size).into_vec())
            });
            let [a, b] = [&drawn[0], &drawn[1]].map(|values| Samples::new("drawn", values, dim, size));
            Ok(distance(&a?, &b?).value)
        })
        .collect::<Result<_>>()?;
    let number = count as f64;
    let value = values.iter().sum::<f64>() / number;
    let deviation = (values.iter().map(|one| (one - value).powi(2)).sum::<f64>() / (number - 1.0)).sqrt();
    let scale = size as f64 / (smaller - size) as f64 + 1.0 / number;
    Ok(SubsetDistance { distance: KernelDistance { value, standard_error: deviation * scale.sqrt() }, deviation })
}

fn distance<T: Copy + Into<f64>>(a: &Samples<T>, b: &Samples<T>) -> KernelDistance {
    let origin = vec![0.0; a.dim()];
    let scale = 1.0 / a.dim() as f64;
    let own = [a, b].map(|set| {
        let mut sums = vec![0.0; set.count()];
        tiles::within(set, &origin, |tile| {
            let [top, left] = tile.first;
            let mut columns = vec![0.0; tile.columns.len()];
            add(tile, scale, &mut sums[top..], &mut columns);
            if tile.diagonal {
                sums[top..].iter_mut().zip(tile.rows).for_each(|(sum, square)| *sum -= kernel(*square, scale));
            } else {
                sums[left..].iter_mut().zip(&columns).for_each(|(sum, column)| *sum += column);
            }
        });
        sums
    });
    let mut cross = [vec![0.0; a.count()], vec![0.0; b.count()]];
    tiles::between(a, b, &origin, |tile| {
        let [rows, columns] = &mut cross;
        add(tile, scale, &mut rows[tile.first[0]..], &mut columns[tile.first[1]..]);
    });
    let totals = [&own[0], &own[1], &cross[0]].map(|sums| sums.iter().sum::<f64>());
    let [n, m] = [a.count() as f64, b.count() as f64];
    let value = totals[0] / (n * (n - 1.0)) + totals[1] / (m * (m - 1.0)) - 2.0 * totals[2] / (n * m);
    let without = |set: usize, [n, m]: [f64; 2]| {
        let other = totals[1 - set] / (m * (m - 1.0));
        let left_out = own[set].iter().zip(&cross[set]).map(|(own, cross)| {
            (totals[set] - 2.0 * own) / ((n - 1.0) * (n - 2.0)) + other - 2.0 * (totals[2] - cross) / ((n - 1.0) * m)
        });
        let values: Vec<f64> = left_out.collect();
        let mean = values.iter().sum::<f64>() / n;
        (n - 1.0) / n * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    KernelDistance { value, standard_error: (without(0, [n, m]) + without(1, [m, n])).sqrt() }
}

#[inline(always)]
fn kernel(product: f64, scale: f64) -> f64 {
    let base = product * scale + 1.0;
    base * base * base
}

/// Adds the kernel of every pair of the tile to the sums of its row and of its column.
fn add(tile: &Tile<'_>, scale: f64, rows: &mut [f64], columns: &mut [f64]) {
    for (j, column) in columns.iter_mut().enumerate().take(tile.columns.len()) {
        let products = tile.column(j);
        *column += tiles::sum_of(products, products, |product, _| kernel(product, scale));
        rows.iter_mut().zip(products).for_each(|(row, product)| *row += kernel(*product, scale));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    fn gaussian(count: u64, dim: usize, seed: u64, shift: f32) -> Vec<f32> {
        let keys: Vec<_> = (0..count).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        normal(&keys, Purpose::Data, &[dim]).iter::<f32>().map(|x| x + shift).collect()
    }

    fn naive(a: &[f32], b: &[f32], dim: usize) -> f64 {
        let product = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let sum = |a: &[f32], b: &[f32], skip: bool| -> f64 {
            let pairs = a.chunks(dim).enumerate().flat_map(|(i, x)| b.chunks(dim).enumerate().map(move |y| (i, x, y)));
            let kept = pairs.filter(|(i, _, (j, _))| !(skip && i == j));
            kept.map(|(_, x, (_, y))| (product(x, y) / dim as f64 + 1.0).powi(3)).sum()
        };
        let [n, m] = [a, b].map(|set| (set.len() / dim) as f64);
        sum(a, a, true) / (n * (n - 1.0)) + sum(b, b, true) / (m * (m - 1.0)) - 2.0 * sum(a, b, false) / (n * m)
    }

    #[test]
    fn value_and_jackknife_agree_with_the_definition() {
        let dim = 3;
        let (a, b) = (gaussian(270, dim, 1, 0.0), gaussian(40, dim, 2, 0.4));
        let (found, expected) = (kid(&a, &b, dim).unwrap(), naive(&a, &b, dim));
        assert!((found.value - expected).abs() < 1e-10 * expected.abs(), "{} {expected}", found.value);
        let variance = |set: &[f32], value: &dyn Fn(&[f32]) -> f64| {
            let n = set.len() / dim;
            let without = |i: usize| [&set[..i * dim], &set[(i + 1) * dim..]].concat();
            let values: Vec<f64> = (0..n).map(|i| value(&without(i))).collect();
            let mean = values.iter().sum::<f64>() / n as f64;
            (n as f64 - 1.0) / n as f64 * values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let (a, b) = (&a[..30 * dim], &b[..20 * dim]);
        let expected = variance(a, &|a| naive(a, b, dim)) + variance(b, &|b| naive(a, b, dim));
        let found = kid(a, b, dim).unwrap().standard_error;
        assert!((found - expected.sqrt()).abs() < 1e-10 * found, "{found} {}", expected.sqrt());
    }

    #[test]
    fn the_interval_holds_zero_for_one_law_and_not_for_two() {
        let subsets = KidSubsets { count: 30, size: 60, seed: 5 };
        let (mut whole, mut parts, repeats) = (0, 0, 40);
        for seed in 0..repeats {
            let (a, b) = (gaussian(300, 6, 2 * seed, 0.0), gaussian(250, 6, 2 * seed + 1, 0.0));
            let held = |found: KernelDistance| usize::from((found.interval()[0]..found.interval()[1]).contains(&0.0));
            whole += held(kid(&a, &b, 6).unwrap());
            parts += held(kid_subsets(&a, &b, 6, &subsets).unwrap().distance);
            let other = gaussian(250, 6, 2 * seed + 1, 0.5);
            assert!(kid(&a, &other, 6).unwrap().interval()[0] > 0.0);
            assert!(kid_subsets(&a, &other, 6, &subsets).unwrap().distance.interval()[0] > 0.0);
        }
        assert!(whole >= 37 && parts >= 37, "{whole} and {parts} of {repeats}");
    }

    #[test]
    fn the_standard_error_is_that_of_repeated_draws() {
        let (repeats, subsets) = (60, KidSubsets { count: 40, size: 50, seed: 1 });
        let (mut values, mut errors, mut parts) = (vec![], 0.0, 0.0);
        for seed in 0..repeats {
            let (a, b) = (gaussian(200, 4, 2 * seed, 0.0), gaussian(200, 4, 2 * seed + 1, 0.5));
            let found = kid(&a, &b, 4).unwrap();
            values.push(found.value);
            errors += found.standard_error / repeats as f64;
            parts += kid_subsets(&a, &b, 4, &subsets).unwrap().distance.standard_error / repeats as f64;
        }
        let mean = values.iter().sum::<f64>() / repeats as f64;
        let real = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (repeats - 1) as f64).sqrt();
        assert!((errors / real - 1.0).abs() < 0.25, "jackknife {errors}, real {real}");
        assert!(parts / real > 0.75 && parts / real < 1.6, "subsets {parts}, real {real}");
    }

    #[test]
    fn subsets_repeat_with_their_seed_and_average_to_the_whole() {
        let (a, b) = (gaussian(150, 4, 1, 0.0), gaussian(120, 4, 2, 0.5));
        let drawn = |seed| kid_subsets(&a, &b, 4, &KidSubsets { count: 400, size: 20, seed }).unwrap();
        let SubsetDistance { distance: found, deviation } = drawn(3);
        assert_eq!(found, drawn(3).distance);
        assert_ne!(found, drawn(4).distance);
        let whole = kid(&a, &b, 4).unwrap().value;
        assert!((found.value - whole).abs() < 4.0 * deviation / 20.0, "{found:?} {whole}");
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let good = gaussian(10, 2, 1, 0.0);
        assert!(kid(&good, &good[..4], 2).is_err());
        assert!(kid(&good, &good, 0).is_err());
        assert!(kid(&good, &[f32::INFINITY; 6], 2).is_err());
        for (count, size) in [(1, 5), (5, 2), (5, 10)] {
            assert!(kid_subsets(&good, &good, 2, &KidSubsets { count, size, seed: 0 }).is_err());
        }
    }
}
