//! Ground-truth sets: `x_s = α(s) x1 + σ(s) x0` of the same pairs for every s.
use super::inner_products::WithinTruth;
use crate::path::Path;
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use std::sync::{Arc, OnceLock};

/// Keeps the noise of the ground truth apart from that of generated samples.
const EPOCH: u64 = u64::MAX;

/// Pairs of data and noise. Sets at different s share them, which makes distances smooth in s.
#[derive(Debug, Clone)]
pub struct GroundTruth {
    pub(super) dim: usize,
    pub(super) data: Vec<f32>,
    pub(super) indices: Vec<usize>,
    pub(super) noise: Vec<f32>,
    pub(super) path: Arc<dyn Path>,
    products: OnceLock<WithinTruth>,
}

impl GroundTruth {
    /// The places of `count` of `all` samples, spread evenly.
    pub fn places(all: usize, count: usize) -> Vec<usize> {
        (0..count).map(|i| i * all / count).collect()
    }

    /// `data`, vectors of `dim` values that stand at `places` of a data set, each with noise of its key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for vectors that are not whole or not finite, that are not as many as their places, or fewer
    /// than 16.
    pub fn new(data: Vec<f32>, dim: usize, places: Vec<usize>, path: Arc<dyn Path>, seed: u64) -> Result<Self> {
        let count = places.len();
        if dim == 0 || data.len() != dim * count || data.iter().any(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!("{} values: must be {count} finite vectors of {dim}", data.len())));
        }
        if count < 16 {
            return Err(Error::Invalid(format!("{count} pairs: must be at least 16")));
        }
        let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed, epoch: EPOCH, position }).collect();
        let noise = normal(&keys, Purpose::Noise, &[dim]).iter::<f32>().collect();
        Ok(Self { dim, data, indices: places, noise, path, products: OnceLock::new() })
    }

    /// Number of pairs.
    pub fn count(&self) -> usize {
        self.indices.len()
    }

    /// Its inner products, computed once for all models and budgets.
    pub(super) fn products(&self) -> &WithinTruth {
        self.products.get_or_init(|| WithinTruth::new(&self.data, &self.noise, self.dim))
    }

    /// The ground-truth set at `s` in [0, 1].
    pub fn at(&self, s: f64) -> Vec<f32> {
        let c = self.path.coefficients(s);
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        self.data.iter().zip(&self.noise).map(|(x1, x0)| alpha * x1 + sigma * x0).collect()
    }

    /// The velocities of its pairs at `s` in [0, 1], `α'(s) x1 + σ'(s) x0`: what a network is trained to predict.
    pub fn velocities(&self, s: f64) -> Vec<f32> {
        let c = self.path.coefficients(s);
        let (alpha, sigma) = (c.d_alpha as f32, c.d_sigma as f32);
        self.data.iter().zip(&self.noise).map(|(x1, x0)| alpha * x1 + sigma * x0).collect()
    }
}
