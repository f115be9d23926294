//! Ground-truth sets: `x_s = α(s) x1 + σ(s) x0` of the same pairs for every s.
use super::pair_distances::WithinTruth;
use crate::path::Path;
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use std::sync::{Arc, OnceLock};

/// Keeps the noise of the ground truth apart from that of generated samples.
const EPOCH: u64 = u64::MAX;

/// Pairs of data and noise. Sets at different s share them, which makes distances smooth in s.
#[derive(Debug, Clone)]
pub struct GroundTruth {
    /// Values of one sample.
    pub dim: usize,
    /// The data x1, one vector after the other.
    pub data: Vec<f32>,
    /// Which of the given samples each is.
    pub indices: Vec<usize>,
    /// The noise x0 of each.
    pub noise: Vec<f32>,
    /// The path.
    pub path: Arc<dyn Path>,
    products: OnceLock<WithinTruth>,
}

impl GroundTruth {
    /// `count` samples of `data`, vectors of `dim` values, spread evenly; each with noise of its key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for vectors that are not whole or not finite, fewer than 16 of them, or a `count` that is
    /// not in 16..=their number.
    pub fn new(data: &[f32], dim: usize, count: usize, path: Arc<dyn Path>, seed: u64) -> Result<Self> {
        if dim == 0 || !data.len().is_multiple_of(dim) || data.iter().any(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!("{} values: must be finite vectors of {dim}", data.len())));
        }
        let all = data.len() / dim;
        if count < 16 || count > all {
            return Err(Error::Invalid(format!("{count} pairs: must be at least 16 and at most {all}")));
        }
        let indices: Vec<usize> = (0..count).map(|i| i * all / count).collect();
        let data = indices.iter().flat_map(|i| &data[i * dim..(i + 1) * dim]).copied().collect();
        let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed, epoch: EPOCH, position }).collect();
        let noise = normal(&keys, Purpose::Noise, &[dim]).iter::<f32>().collect();
        Ok(Self { dim, data, indices, noise, path, products: OnceLock::new() })
    }

    /// Number of pairs.
    pub fn count(&self) -> usize {
        self.indices.len()
    }

    /// Its inner products, computed once for all models and budgets.
    pub(super) fn products(&self) -> &WithinTruth {
        self.products.get_or_init(|| WithinTruth::new(self))
    }

    /// The ground-truth set at `s` in [0, 1].
    pub fn at(&self, s: f64) -> Vec<f32> {
        let c = self.path.coefficients(s);
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        self.data.iter().zip(&self.noise).map(|(x1, x0)| alpha * x1 + sigma * x0).collect()
    }
}

/// The inner product of two vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
