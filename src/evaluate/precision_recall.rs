//! Precision and recall: the share of samples near the reference set, and of the reference set near the samples.
//!
//! Source: Kynkäänniemi et al. 2019 ([arXiv 1904.06991](https://arxiv.org/abs/1904.06991)), with squared distances as
//! OpenAI's evaluator compares them.
use super::tiles::{self, Samples, squared_distance};
use crate::{Error, Result};

/// Both shares, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecall {
    /// The share of samples inside the ball of at least one reference vector: how realistic they are.
    pub precision: f64,
    /// The share of reference vectors inside the ball of at least one sample: how much of them is covered.
    pub recall: f64,
}

/// Improved precision and recall of `samples` against `reference`, vectors of `dim` values one after the other.
///
/// The ball of a vector reaches to its `k`-th nearest neighbour in its own set, itself not counted, border included:
/// `precision = mean_j max_i [ |r_i − s_j|² ≤ ρ_k(r_i)² ]`, and `recall` with the sets exchanged. Published numbers use
/// `k = 3`. Distances are f64 where OpenAI's evaluator has f16 (f32 on overflow), so a vector on the border of a ball
/// can fall on the other side of it: a difference of `1/n` each.
///
/// Not comparable across sample sizes: balls shrink as their set grows. For two sets of one law both stay below 1 by
/// an amount that depends on both counts and on the dimensions (published: 10,000 reference vectors, 50,000 samples),
/// and a few outliers with large balls raise either figure.
///
/// Time `O((n + m)² dim)` in matrix products, memory `O(k (n + m))` beside the sets.
/// # Errors
/// [`Error::Invalid`] if `dim` or `k` is 0, a set is no whole number of vectors, has no more than `k` of them, or holds a
/// value that is not finite in f32.
pub fn precision_recall<T: Copy + Into<f64>>(
    reference: &[T],
    samples: &[T],
    dim: usize,
    k: usize,
) -> Result<PrecisionRecall> {
    let (reference, samples) = (usable("reference", reference, dim, k)?, usable("sample", samples, dim, k)?);
    let center = reference.mean();
    let (reference_radii, sample_radii) = (radii(&reference, &center, k), radii(&samples, &center, k));
    let (mut covered, mut realistic) = (vec![false; reference.count()], vec![false; samples.count()]);
    tiles::between(&reference, &samples, &center, |tile| {
        let [top, left] = tile.first;
        let (covered, radii) = (&mut covered[top..], &reference_radii[top..]);
        for (j, y) in tile.columns.iter().enumerate() {
            let radius = sample_radii[left + j];
            let mut inside = false;
            let rows = tile.rows.iter().zip(tile.column(j)).zip(radii);
            for (((x, product), own), covered) in rows.zip(covered.iter_mut()) {
                let square = snapped(*x, *y, *product, dim);
                inside |= square <= *own;
                *covered |= square <= radius;
            }
            realistic[left + j] |= inside;
        }
    });
    Ok(PrecisionRecall { precision: share(&realistic), recall: share(&covered) })
}

/// The squared distance of every vector of a set to its `k`-th nearest other vector of the set, in f64.
///
/// These are the radii that [`precision_recall`] compares with; each is at least 0, which it is where a vector occurs more
/// than `k` times.
/// # Errors
/// As [`precision_recall`].
pub fn neighbour_radii<T: Copy + Into<f64>>(values: &[T], dim: usize, k: usize) -> Result<Vec<f64>> {
    let set = usable("given", values, dim, k)?;
    Ok(radii(&set, &set.mean(), k))
}

fn usable<'a, T: Copy + Into<f64>>(name: &str, values: &'a [T], dim: usize, k: usize) -> Result<Samples<'a, T>> {
    if k == 0 {
        return Err(Error::Invalid("0 nearest neighbours: must be at least 1".into()));
    }
    Samples::new(name, values, dim, k.saturating_add(1))
}

fn radii<T: Copy + Into<f64>>(set: &Samples<T>, center: &[f64], k: usize) -> Vec<f64> {
    let mut nearest = Nearest { k, squares: vec![f64::INFINITY; k * set.count()] };
    tiles::within(set, center, |tile| {
        let [top, left] = tile.first;
        for (j, y) in tile.columns.iter().enumerate() {
            for (i, (x, product)) in tile.rows.iter().zip(tile.column(j)).enumerate() {
                if tile.diagonal && i == j {
                    continue;
                }
                let square = snapped(*x, *y, *product, center.len());
                nearest.offer(top + i, square);
                if !tile.diagonal {
                    nearest.offer(left + j, square);
                }
            }
        }
    });
    nearest.squares.chunks_exact(k).map(|nearest| nearest[k - 1]).collect()
}

/// The `k` least squared distances of each vector, ascending.
struct Nearest {
    k: usize,
    squares: Vec<f64>,
}

impl Nearest {
    #[inline]
    fn offer(&mut self, vector: usize, square: f64) {
        let nearest = &mut self.squares[vector * self.k..(vector + 1) * self.k];
        if square < nearest[self.k - 1] {
            let place = nearest.partition_point(|least| *least <= square);
            nearest[place..].rotate_right(1);
            nearest[place] = square;
        }
    }
}

/// Squared distances within the rounding of the products are 0, so that copies of one vector are at distance 0.
#[inline(always)]
fn snapped(x: f64, y: f64, product: f64, dim: usize) -> f64 {
    let square = squared_distance(x, y, product);
    if square > dim as f64 * f64::EPSILON * (x + y) { square } else { 0.0 }
}

fn share(flags: &[bool]) -> f64 {
    flags.iter().filter(|flag| **flag).count() as f64 / flags.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};

    fn gaussian(count: u64, dim: usize, seed: u64, shift: f32) -> Vec<f32> {
        let keys: Vec<_> = (0..count).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        normal(&keys, Purpose::Data, &[dim]).iter::<f32>().map(|x| x + shift).collect()
    }

    fn naive(reference: &[f32], samples: &[f32], dim: usize, k: usize) -> PrecisionRecall {
        let square = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let radius = |x: &[f32], set: &[f32]| {
            let mut squares: Vec<f64> = set.chunks(dim).map(|y| square(x, y)).collect();
            squares.sort_by(f64::total_cmp);
            squares[k]
        };
        let inside = |points: &[f32], balls: &[f32]| {
            let radii: Vec<f64> = balls.chunks(dim).map(|x| radius(x, balls)).collect();
            let within = |p: &[f32]| balls.chunks(dim).zip(&radii).any(|(x, radius)| square(p, x) <= *radius);
            share(&points.chunks(dim).map(within).collect::<Vec<_>>())
        };
        PrecisionRecall { precision: inside(samples, reference), recall: inside(reference, samples) }
    }

    #[test]
    fn tiles_agree_with_the_definition() {
        for (dim, k, shift) in [(2, 3, 0.7), (9, 1, 0.3), (5, 7, 1.0)] {
            let (reference, samples) = (gaussian(530, dim, 1, 0.0), gaussian(300, dim, 2, shift));
            let found = precision_recall(&reference, &samples, dim, k).unwrap();
            assert_eq!(found, naive(&reference, &samples, dim, k));
            assert!(found.precision < 1.0 && found.recall < 1.0 && found.precision > 0.1, "{found:?}");
        }
    }

    #[test]
    fn identical_sets_give_one_and_disjoint_sets_zero() {
        let (a, far) = (gaussian(400, 8, 1, 0.0), gaussian(300, 8, 2, 100.0));
        let both = |value| PrecisionRecall { precision: value, recall: value };
        assert_eq!(precision_recall(&a, &a, 8, 3).unwrap(), both(1.0));
        assert_eq!(precision_recall(&a, &far, 8, 3).unwrap(), both(0.0));
    }

    #[test]
    fn few_modes_cost_recall_and_outliers_precision() {
        let (one, two) = (gaussian(400, 4, 1, 0.0), [gaussian(200, 4, 2, 0.0), gaussian(200, 4, 3, 50.0)].concat());
        let dropped = precision_recall(&two, &one, 4, 3).unwrap();
        assert!(dropped.precision > 0.8 && (dropped.recall - 0.5).abs() < 0.05, "{dropped:?}");
        let added = precision_recall(&one, &two, 4, 3).unwrap();
        assert_eq!((added.precision, added.recall), (dropped.recall, dropped.precision));
    }

    #[test]
    fn copies_are_at_distance_zero() {
        let points = gaussian(20, 64, 5, 3.0);
        let copies: Vec<f32> = (0..20).flat_map(|_| points.clone()).collect();
        assert!(neighbour_radii(&copies, 64, 3).unwrap().iter().all(|radius| *radius == 0.0));
        let found = precision_recall(&copies, &copies[64 * 5..], 64, 3).unwrap();
        assert_eq!(found, PrecisionRecall { precision: 1.0, recall: 1.0 });
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let good = gaussian(10, 2, 1, 0.0);
        assert!(precision_recall(&good, &good[..6], 2, 3).is_err());
        assert!(precision_recall(&good, &good, 2, 0).is_err());
        assert!(precision_recall(&good, &good, 0, 3).is_err());
        assert!(precision_recall(&good, &good, 3, 3).is_err());
        assert!(precision_recall(&good, &[f32::NAN; 20], 2, 3).is_err());
        assert!(neighbour_radii(&good, 2, usize::MAX).is_err());
    }
}
