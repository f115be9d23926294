//! The Time-Shift Sampler ([arXiv 2305.15583](https://arxiv.org/abs/2305.15583)) for a velocity field.
use crate::Problem;
use crate::path::Path;
use crate::sample::{At, VelocityField};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The finest times that are looked at, all of them at every step.
const FINEST: usize = 1_000_000;

/// Where the Time-Shift Sampler looks for a better time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TimeShiftConfig {
    /// The width of the window around the nominal time in which it looks, in [0, 2].
    pub window: f64,
    /// Only times below are shifted, the first, 0, never. In [0, 1].
    pub below: f64,
    /// Times are multiples of one over this. In 1..=1000000; 1000 in the official code.
    #[serde(default = "thousand")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub resolution: usize,
    /// `V`, the variance of the data that the expected variance `α² V + σ²` takes into account; the
    /// official code has 0. Finite and at least 0.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub data_variance: f64,
}

fn thousand() -> usize {
    1000
}

impl TimeShiftConfig {
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Self { window, below, resolution, data_variance } = *self;
        Problem::unless(&mut problems, (0.0..=2.0).contains(&window), path, "window", window, "must be in [0, 2]");
        Problem::unless(&mut problems, (0.0..=1.0).contains(&below), path, "below", below, "must be in [0, 1]");
        let valid = data_variance.is_finite() && data_variance >= 0.0;
        let must = "must be finite and at least 0";
        Problem::unless(&mut problems, valid, path, "data_variance", data_variance, must);
        let (inside, must) = ((1..=FINEST).contains(&resolution), format!("must be in 1..={FINEST}"));
        Problem::unless(&mut problems, inside, path, "resolution", resolution, must);
        problems
    }
}

/// A field whose network is told, for each sample, the time `s` near the nominal one that minimises
/// `(Var(x) − α_s² V − σ_s²)²`; the integration keeps the nominal times.
///
/// `Var` is the unbiased variance over all values of the sample. This is the variant of the official code that
/// replaces the time of the network (its DEIS sampler).
pub struct TimeShiftSampler<'a, const D: usize> {
    inner: &'a dyn VelocityField<D>,
    path: Arc<dyn Path>,
    config: TimeShiftConfig,
}

impl<'a, const D: usize> TimeShiftSampler<'a, D> {
    /// Shifts the times told to `inner`, a field of `path`.
    pub fn new(inner: &'a dyn VelocityField<D>, path: Arc<dyn Path>, config: TimeShiftConfig) -> Self {
        Self { inner, path, config }
    }

    /// The time told for each sample of `x` `[batch, ...]` at the nominal time `t`.
    pub fn told(&self, x: &Tensor<D>, t: f64) -> Vec<f64> {
        let [batch, values] = [x.dims()[0], x.dims()[1..].iter().product()];
        // A time that only rounding puts below the limit is not below it.
        if t <= 0.0 || t >= self.config.below - 1e-9 {
            return vec![t; batch];
        }
        let variances = x.clone().reshape([batch, values]).var(1).into_data();
        variances.iter::<f64>().map(|variance| self.best(variance, t)).collect()
    }

    fn best(&self, variance: f64, t: f64) -> f64 {
        let resolution = self.config.resolution as f64;
        let (nominal, half) = ((t * resolution).round(), (0.5 * self.config.window * resolution).round());
        let (first, last) = ((nominal - half).max(0.0), (nominal + half).min(resolution));
        let miss = |s: f64| {
            let c = self.path.coefficients(s);
            (variance - c.alpha * c.alpha * self.config.data_variance - c.sigma * c.sigma).powi(2)
        };
        let mut best = (f64::INFINITY, t);
        for s in (first as usize..=last as usize).map(|i| i as f64 / resolution) {
            let miss = miss(s);
            if miss < best.0 {
                best = (miss, s);
            }
        }
        best.1
    }
}

impl<const D: usize> VelocityField<D> for TimeShiftSampler<'_, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let told = self.told(&x, at.time);
        let told = if told.iter().all(|s| *s == at.time) { at.told } else { Some(told.as_slice()) };
        self.inner.velocity_at(x, At { told, ..at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Linear;
    use burn::tensor::Device;

    #[test]
    fn the_told_time_has_the_variance_of_the_state() {
        let config = TimeShiftConfig { window: 0.4, below: 0.8, resolution: 1000, data_variance: 0.0 };
        let inner = |x: Tensor<2>, _: f64| x;
        let sampler = TimeShiftSampler::new(&inner, Arc::new(Linear), config);
        // Variances 0.36 and 100: σ = 0.6 at t = 0.4, and beyond the window.
        let x = Tensor::<2>::from_floats([[0.6, -0.6, 0.6, -0.6], [10.0, -10.0, 10.0, -10.0]], &Device::flex());
        let x = x.mul_scalar(0.75f64.sqrt());
        assert_eq!(sampler.told(&x, 0.5), [0.4, 0.3]);
        assert_eq!(sampler.told(&x, 0.0), [0.0, 0.0]);
        assert_eq!(sampler.told(&x, 0.8), [0.8, 0.8]);
    }
}
