//! `μ = Σ x / n` and `Σ = Σ (x − μ)(x − μ)ᵀ / (n − 1)`, streamed in f64.
//!
//! Blocks are merged by the update of Chan, Golub and LeVeque (1979):
//! `S ← S_a + S_b + δδᵀ n_a n_b / (n_a + n_b)` with `δ = μ_b − μ_a`.
use crate::{Error, Result, host};
use burn::tensor::Tensor;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, get_global_parallelism};

/// Rows per update: enough for a fast product, little memory.
const BLOCK: usize = 512;

/// Mean and covariance of feature vectors, fed in pieces of any size.
#[derive(Debug, Clone)]
pub struct Moments {
    count: usize,
    mean: Vec<f64>,
    /// `Σ (x − μ)(x − μ)ᵀ`; only the lower triangle is kept.
    scatter: Mat<f64>,
}

impl Moments {
    /// No samples yet, of features with `dimensions` entries.
    pub fn new(dimensions: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dimensions], scatter: Mat::zeros(dimensions, dimensions) }
    }

    /// Length of a feature vector.
    pub fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Samples seen.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean; zeros before the first sample.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Adds samples, one after the other in `rows`, as f32 or f64. Large pieces are faster than many small ones.
    /// # Errors
    /// [`Error::Invalid`] if `rows` is no whole number of samples or a value is not finite; nothing is added then.
    pub fn push<T: Copy + Into<f64>>(&mut self, rows: &[T]) -> Result<()> {
        let dimensions = self.dimensions();
        if dimensions == 0 || !rows.len().is_multiple_of(dimensions) {
            let message = format!("{} feature values: must be a multiple of {dimensions} dimensions", rows.len());
            return Err(Error::Invalid(message));
        }
        if let Some(at) = rows.iter().position(|value| !(*value).into().is_finite()) {
            let (row, column, value) = (at / dimensions, at % dimensions, rows[at].into());
            return Err(Error::Invalid(format!("feature {column} of row {row} is {value}: must be finite")));
        }
        rows.chunks(BLOCK * dimensions).for_each(|block| self.push_block(block));
        Ok(())
    }

    /// Adds the rows of `features` `[samples, dimensions]`.
    /// # Errors
    /// Those of [`push`](Self::push), and [`Error::Invalid`] if the second dimension differs or the
    /// tensor cannot be read.
    pub fn push_tensor(&mut self, features: Tensor<2>) -> Result<()> {
        let [_, columns] = features.dims();
        if columns != self.dimensions() {
            let message = format!("{columns} features per sample: must be {} dimensions", self.dimensions());
            return Err(Error::Invalid(message));
        }
        self.push(&host::values(features, "features")?)
    }

    /// Adds everything `other` has seen, as if both had been fed to one.
    /// # Errors
    /// [`Error::Invalid`] if the dimensions differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.dimensions() != other.dimensions() {
            let (a, b) = (self.dimensions(), other.dimensions());
            return Err(Error::Invalid(format!("moments of {a} and {b} dimensions: must agree")));
        }
        if other.count > 0 {
            let shift = self.shift(&other.mean, other.count);
            self.scatter += &other.scatter;
            self.add_products(&shift, 1.0);
        }
        Ok(())
    }

    /// The moments of what this has seen and `part` has not, where all that `part` has seen is in this: the inverse of
    /// [`merge`](Self::merge), for a jackknife.
    /// # Errors
    /// [`Error::Invalid`] if the dimensions differ, or `part` has seen more.
    pub fn without(&self, part: &Self) -> Result<Self> {
        if self.dimensions() != part.dimensions() || self.count < part.count {
            let [(n, a), (m, b)] = [self, part].map(|moments| (moments.count, moments.dimensions()));
            let message = format!("{m} samples of {b} dimensions of {n} of {a}: must be a part of them");
            return Err(Error::Invalid(message));
        }
        if self.count == part.count {
            return Ok(Self::new(self.dimensions()));
        }
        let [all, taken] = [self.count, part.count].map(|count| count as f64);
        let rest = all - taken;
        let means = self.mean.iter().zip(&part.mean);
        let mean: Vec<f64> = means.map(|(all_mean, mean)| (all * all_mean - taken * mean) / rest).collect();
        let factor = (rest * taken / all).sqrt();
        let shift: Vec<f64> = part.mean.iter().zip(&mean).map(|(b, a)| (b - a) * factor).collect();
        let mut left = Self { count: self.count - part.count, mean, scatter: &self.scatter - &part.scatter };
        left.add_products(&shift, -1.0);
        Ok(left)
    }

    /// The covariance with denominator `n − 1`, a symmetric matrix stored row by row.
    /// # Errors
    /// [`Error::Invalid`] with fewer than two samples.
    pub fn covariance(&self) -> Result<Vec<f64>> {
        let lower = self.covariance_lower()?;
        let n = self.dimensions();
        Ok((0..n * n).map(|at| (at / n, at % n)).map(|(i, j)| lower[(i.max(j), i.min(j))]).collect())
    }

    pub(super) fn covariance_lower(&self) -> Result<Mat<f64>> {
        if self.count < 2 {
            return Err(Error::Invalid(format!("{} sample(s): a covariance needs at least 2", self.count)));
        }
        Ok(&self.scatter * faer::Scale(1.0 / (self.count - 1) as f64))
    }

    fn push_block<T: Copy + Into<f64>>(&mut self, rows: &[T]) {
        let dimensions = self.dimensions();
        let count = rows.len() / dimensions;
        let mut mean = vec![0.0; dimensions];
        for row in rows.chunks_exact(dimensions) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += (*x).into());
        }
        mean.iter_mut().for_each(|sum| *sum /= count as f64);
        let mut columns = Vec::with_capacity(rows.len() + dimensions);
        for row in rows.chunks_exact(dimensions) {
            columns.extend(row.iter().zip(&mean).map(|(x, mean)| (*x).into() - mean));
        }
        // Chan's rank-one term is one more column of the same product.
        columns.extend(self.shift(&mean, count));
        self.add_products(&columns, 1.0);
    }

    /// Moves count and mean to include a group, and returns `δ √(n_a n_b / (n_a + n_b))`.
    fn shift(&mut self, mean: &[f64], count: usize) -> Vec<f64> {
        let (before, added) = (self.count as f64, count as f64);
        let total = before + added;
        let delta: Vec<f64> = mean.iter().zip(&self.mean).map(|(b, a)| b - a).collect();
        self.count += count;
        self.mean.iter_mut().zip(&delta).for_each(|(mean, delta)| *mean += delta * added / total);
        let factor = (before * added / total).sqrt();
        delta.iter().map(|delta| delta * factor).collect()
    }

    /// Adds `factor · C Cᵀ` to the scatter for `C` of shape `[dimensions, any]`, given column by column.
    fn add_products(&mut self, columns: &[f64], factor: f64) {
        let dimensions = self.dimensions();
        let columns = MatRef::from_column_major_slice(columns, dimensions, columns.len() / dimensions);
        matmul(
            &mut self.scatter,
            BlockStructure::TriangularLower,
            Accum::Add,
            columns,
            BlockStructure::Rectangular,
            columns.transpose(),
            BlockStructure::Rectangular,
            factor,
            get_global_parallelism(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(count: usize, offset: f32) -> Vec<f32> {
        (0..count).map(|i| offset + ((i * 7919) % 1009) as f32 / 1009.0 + ((i * i) % 31) as f32).collect()
    }

    fn naive(rows: &[f32], n: usize) -> (Vec<f64>, Vec<f64>) {
        let count = (rows.len() / n) as f64;
        let column = |j: usize| rows.iter().skip(j).step_by(n).map(|x| f64::from(*x));
        let mean: Vec<f64> = (0..n).map(|j| column(j).sum::<f64>() / count).collect();
        let product =
            |i: usize, j: usize| column(i).zip(column(j)).map(|(a, b)| (a - mean[i]) * (b - mean[j])).sum::<f64>();
        let covariance = (0..n * n).map(|at| product(at / n, at % n) / (count - 1.0)).collect();
        (mean, covariance)
    }

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn streaming_equals_two_passes_for_any_cut_and_a_large_offset() {
        let rows = values(3 * 1300, 4096.0);
        let (mean, covariance) = naive(&rows, 3);
        for cut in [1, 7, 400, 1299, 1300] {
            let mut moments = Moments::new(3);
            rows.chunks(3 * cut).for_each(|piece| moments.push(piece).unwrap());
            assert_eq!(moments.count(), 1300);
            assert_close(moments.mean(), &mean);
            assert_close(&moments.covariance().unwrap(), &covariance);
        }
    }

    #[test]
    fn merging_equals_feeding_everything_to_one() {
        let rows = values(4 * 50, -3.0);
        let (mut left, mut right) = (Moments::new(4), Moments::new(4));
        left.push(&rows[..4 * 13]).unwrap();
        right.push(&rows[4 * 13..]).unwrap();
        left.merge(&right).unwrap();
        left.merge(&Moments::new(4)).unwrap();
        let (mean, covariance) = naive(&rows, 4);
        assert_close(left.mean(), &mean);
        assert_close(&left.covariance().unwrap(), &covariance);
        assert!(left.merge(&Moments::new(5)).is_err());
    }

    #[test]
    fn taking_a_part_away_leaves_the_rest() {
        let rows = values(4 * 50, 100.0);
        let of = |rows: &[f32]| {
            let mut moments = Moments::new(4);
            moments.push(rows).unwrap();
            moments
        };
        let (whole, part) = (of(&rows), of(&rows[..4 * 13]));
        let (left, expected) = (whole.without(&part).unwrap(), of(&rows[4 * 13..]));
        assert_eq!(left.count(), 37);
        assert_close(left.mean(), expected.mean());
        assert_close(&left.covariance().unwrap(), &expected.covariance().unwrap());
        assert_eq!(whole.without(&whole).unwrap().count(), 0);
        assert!(part.without(&whole).is_err() && whole.without(&Moments::new(3)).is_err());
    }

    #[test]
    fn a_tensor_is_read_row_by_row() {
        let mut moments = Moments::new(2);
        moments.push_tensor(Tensor::from_floats([[1.0, 2.0], [3.0, 8.0]], &Device::flex())).unwrap();
        assert_eq!(moments.mean(), [2.0, 5.0]);
        assert_eq!(moments.covariance().unwrap(), [2.0, 6.0, 6.0, 18.0]);
        assert!(moments.push_tensor(Tensor::from_floats([[1.0, 2.0, 3.0]], &Device::flex())).is_err());
    }

    #[test]
    fn unusable_features_are_refused_and_change_nothing() {
        let mut moments = Moments::new(2);
        for rows in [&[1.0, f32::NAN][..], &[f32::INFINITY, 0.0], &[1.0, 2.0, 3.0]] {
            assert!(moments.push(rows).is_err());
        }
        assert_eq!(moments.count(), 0);
        assert!(Moments::new(0).push::<f32>(&[]).is_err());
        moments.push(&[1.0, 2.0]).unwrap();
        assert!(moments.covariance().is_err());
    }
}
