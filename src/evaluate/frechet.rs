//! `d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½`: the Fréchet distance of two Gaussians.
//!
//! Source: Dowson and Landau (1982); on Inception features it is the FID
//! ([arXiv 1706.08500](https://arxiv.org/abs/1706.08500)).
use super::Moments;
use crate::{Error, Result};
use faer::linalg::solvers::EvdError;
use faer::{Mat, MatRef, Side};

/// One side of Fréchet distances, decomposed once: `μ₁`, `tr Σ₁` and `B = U diag(√s)` of `Σ₁ = U diag(s) Uᵀ`.
///
/// `Σ₁^½ Σ₂ Σ₁^½` has the eigenvalues of `Bᵀ Σ₂ B`: two symmetric eigenproblems in f64 for a distance, one for every further
/// one, which stay accurate for singular covariances (fewer samples than dimensions).
#[derive(Debug, Clone)]
pub struct FrechetReference {
    mean: Vec<f64>,
    trace: f64,
    root: Mat<f64>,
}

impl FrechetReference {
    /// The side with these moments.
    /// # Errors
    /// [`Error::Invalid`] for fewer than two samples, or if the eigensolver does not converge.
    pub fn new(moments: &Moments) -> Result<Self> {
        Self::of_lower(moments.mean().to_vec(), moments.covariance_lower()?)
    }

    /// The side with this mean and this covariance (row by row, symmetric), as published statistics give them.
    /// # Errors
    /// [`Error::Invalid`] if the covariance has another size than the mean asks for, a number is not finite, it is not
    /// symmetric to 1e-6 of its largest entry, or the eigensolver does not converge.
    pub fn of_gaussian(mean: Vec<f64>, covariance: &[f64]) -> Result<Self> {
        let n = mean.len();
        if n == 0 || covariance.len() != n * n {
            let message = format!("a mean of {n} and a covariance of {} numbers: must be n and n²", covariance.len());
            return Err(Error::Invalid(message));
        }
        if !mean.iter().chain(covariance).all(|value| value.is_finite()) {
            return Err(Error::Invalid("mean and covariance: every number must be finite".into()));
        }
        let covariance = MatRef::from_row_major_slice(covariance, n, n);
        let largest = covariance.norm_max();
        if (covariance - covariance.transpose()).norm_max() > 1e-6 * largest {
            return Err(Error::Invalid("covariance: must be symmetric".into()));
        }
        Self::of_lower(mean, covariance.to_owned())
    }

    fn of_lower(mean: Vec<f64>, covariance: Mat<f64>) -> Result<Self> {
        let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(failed)?;
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        // Rounding turns zero eigenvalues slightly negative.
        let root = Mat::from_fn(vectors.nrows(), vectors.ncols(), |i, j| vectors[(i, j)] * values[j].max(0.0).sqrt());
        Ok(Self { mean, trace: trace(&covariance), root })
    }

    /// The squared distance to the Gaussian with these moments, as [`frechet_distance`].
    /// # Errors
    /// [`Error::Invalid`] if the dimensions differ, for fewer than two samples, for features too large for a finite
    /// distance, or if the eigensolver does not converge.
    pub fn distance(&self, other: &Moments) -> Result<f64> {
        if self.mean.len() != other.dimensions() {
            let (a, b) = (self.mean.len(), other.dimensions());
            return Err(Error::Invalid(format!("moments of {a} and {b} dimensions: must agree")));
        }
        let covariance = symmetric(other.covariance_lower()?);
        let product = self.root.transpose() * (&covariance * &self.root);
        let values = product.self_adjoint_eigenvalues(Side::Lower).map_err(failed)?;
        let cross: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let means: f64 = self.mean.iter().zip(other.mean()).map(|(a, b)| (a - b).powi(2)).sum();
        let distance = means + self.trace + trace(&covariance) - 2.0 * cross;
        if !distance.is_finite() {
            return Err(Error::Invalid("features: too large for their Fréchet distance to be finite".into()));
        }
        Ok(distance.max(0.0))
    }
}

/// The squared Fréchet distance between the Gaussians with these moments; at least 0.
///
/// Biased upwards: two sets of `n` and `m` samples of one Gaussian `N(0, I)` in `d` dimensions are about
/// `(d + d (d + 1) / 4) (1/n + 1/m)` apart while both are much larger than `d`. Compare numbers from equal `n` and `m` only;
/// the published ones use 50,000 samples.
/// # Errors
/// [`Error::Invalid`] if the dimensions differ, either side has fewer than two samples, features are too large for a finite
/// distance, or the eigensolver does not converge.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64> {
    FrechetReference::new(a)?.distance(b)
}

fn failed(_: EvdError) -> Error {
    Error::Invalid("covariance: its eigenvalues could not be computed".into())
}

fn symmetric(lower: Mat<f64>) -> Mat<f64> {
    Mat::from_fn(lower.nrows(), lower.ncols(), |i, j| lower[(i.max(j), i.min(j))])
}

fn trace(matrix: &Mat<f64>) -> f64 {
    (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};

    fn moments(rows: &[f32], dimensions: usize) -> Moments {
        let mut moments = Moments::new(dimensions);
        moments.push(rows).unwrap();
        moments
    }

    #[test]
    fn in_one_dimension_it_is_the_difference_of_means_and_deviations() {
        // Means 1 and 7, variances 2 and 18: 36 + (√18 − √2)².
        let distance = frechet_distance(&moments(&[0.0, 2.0], 1), &moments(&[4.0, 10.0], 1)).unwrap();
        assert!((distance - 44.0).abs() < 1e-12, "{distance}");
    }

    #[test]
    fn it_is_symmetric_and_zero_between_equals_even_if_singular() {
        let rows = |seed: usize| (0..6 * 9).map(|i| ((i * 37 + seed * i * i) % 101) as f32 / 10.0).collect::<Vec<_>>();
        let (a, b) = (moments(&rows(3), 9), moments(&rows(5), 9));
        assert!(frechet_distance(&a, &a).unwrap() < 1e-5);
        let (there, back) = (frechet_distance(&a, &b).unwrap(), frechet_distance(&b, &a).unwrap());
        assert!(there > 1.0);
        assert!((there - back).abs() < 1e-6 * there, "{there} {back}");
    }

    #[test]
    fn samples_of_one_gaussian_are_as_far_apart_as_the_documented_bias() {
        let (n, d) = (1000, 6);
        let drawn = |epoch| {
            let keys: Vec<_> = (0..n).map(|position| SampleKey { seed: 11, epoch, position }).collect();
            moments(&normal(&keys, Purpose::Data, &[d]).try_to_vec::<f32>().unwrap(), d)
        };
        let repeats = 40;
        let mean = (0..repeats).map(|i| frechet_distance(&drawn(2 * i), &drawn(2 * i + 1)).unwrap()).sum::<f64>()
            / repeats as f64;
        let bias = (d as f64 + d as f64 * (d as f64 + 1.0) / 4.0) * 2.0 / n as f64;
        assert!((mean - bias).abs() < 0.15 * bias, "{mean} {bias}");
    }

    #[test]
    fn published_statistics_are_as_good_as_samples() {
        let rows = |seed: usize| (0..30 * 4).map(|i| ((i * 37 + seed * i * i) % 101) as f32 / 10.0).collect::<Vec<_>>();
        let (a, b) = (moments(&rows(3), 4), moments(&rows(5), 4));
        let given = FrechetReference::of_gaussian(a.mean().to_vec(), &a.covariance().unwrap()).unwrap();
        assert_eq!(given.distance(&b).unwrap(), frechet_distance(&a, &b).unwrap());
        let says = |mean: &[f64], covariance: &[f64]| {
            FrechetReference::of_gaussian(mean.to_vec(), covariance).unwrap_err().to_string()
        };
        assert!(says(&[1.0, 2.0], &[1.0; 3]).contains("n²"));
        assert!(says(&[1.0, f64::NAN], &[1.0; 4]).contains("finite"));
        assert!(says(&[1.0, 2.0], &[1.0, 0.5, 0.25, 1.0]).contains("symmetric"));
    }

    #[test]
    fn mismatches_and_single_samples_are_errors() {
        let good = moments(&[1.0, 2.0, 3.0, 5.0], 2);
        assert!(frechet_distance(&good, &moments(&[1.0, 2.0], 1)).is_err());
        assert!(frechet_distance(&good, &moments(&[1.0, 2.0], 2)).is_err());
        assert!(frechet_distance(&Moments::new(2), &good).is_err());
    }
}
