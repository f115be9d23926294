//! Interpolation paths `x_t = α(t) x1 + σ(t) x0` and the quantities a network may predict on them.
//!
//! Time runs from 0 (noise `x0`) to 1 (data `x1`). Which path? [`PathConfig::Linear`] unless the weights were
//! trained on another one. Models trained with time reversed are wrapped in [`Reversed`].
//!
//! A path of your own implements [`Path::coefficients`]; everything else follows.
//! ```
//! use burn_mixflow::path::{Path, PathCoefficients};
//!
//! #[derive(Debug)]
//! struct Quadratic;
//! impl Path for Quadratic {
//!     fn coefficients(&self, t: f64) -> PathCoefficients {
//!         PathCoefficients { alpha: t * t, sigma: 1.0 - t * t, d_alpha: 2.0 * t, d_sigma: -2.0 * t }
//!     }
//! }
//! assert_eq!(Quadratic.alpha_log_derivative(0.5), 4.0);
//! ```
mod config;
mod drift;
mod gvp;
mod interpolate;
mod interval;
mod linear;
mod prediction;
pub mod reversed;
mod vp;

pub use config::PathConfig;
pub use drift::{Drift, drift};
pub use gvp::Gvp;
pub(crate) use interpolate::per_sample;
pub use interpolate::{interpolate, velocity_target};
pub use interval::TrainingInterval;
pub use linear::Linear;
pub use prediction::PredictionKind;
pub use reversed::Reversed;
pub use vp::Vp;

use std::fmt::Debug;

/// α, σ and their derivatives at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathCoefficients {
    /// The weight α of the data.
    pub alpha: f64,
    /// The weight σ of the noise.
    pub sigma: f64,
    /// dα/dt.
    pub d_alpha: f64,
    /// dσ/dt.
    pub d_sigma: f64,
}

/// A Gaussian path from noise at time 0 to data at time 1.
pub trait Path: Debug + Send + Sync {
    /// α, σ, α' and σ' at `t` in [0, 1].
    fn coefficients(&self, t: f64) -> PathCoefficients;

    /// d ln α/dt = α'/α; infinite where α = 0.
    fn alpha_log_derivative(&self, t: f64) -> f64 {
        let c = self.coefficients(t);
        c.d_alpha / c.alpha
    }

    /// The weight `σ² α'/α − σσ'` of the score in the velocity `v = x α'/α + weight · score`.
    fn drift_variance(&self, t: f64) -> f64 {
        let c = self.coefficients(t);
        self.alpha_log_derivative(t) * c.sigma * c.sigma - c.sigma * c.d_sigma
    }

    /// SiT's "velocity" weight `(w/σ)²`, with `w` the [drift variance](Path::drift_variance), of a
    /// squared error in the noise: with it the error counts as one in the velocity.
    fn velocity_weight(&self, t: f64) -> f64 {
        (self.drift_variance(t) / self.coefficients(t).sigma).powi(2)
    }

    /// SiT's "likelihood" weight `w/σ²`, with `w` the [drift variance](Path::drift_variance), of a
    /// squared error in the noise.
    fn likelihood_weight(&self, t: f64) -> f64 {
        self.drift_variance(t) / self.coefficients(t).sigma.powi(2)
    }
}

/// Whether `path` is the straight one.
pub(crate) fn is_linear(path: &dyn Path) -> bool {
    [0.25, 0.5, 0.75].into_iter().all(|t| {
        let c = path.coefficients(t);
        (c.alpha - t).abs() < 1e-12 && (c.sigma - (1.0 - t)).abs() < 1e-12
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_coefficients() {
        let paths: [&dyn Path; 3] = [&Linear, &Gvp, &Vp::default()];
        let h = 1e-6;
        for path in paths {
            for t in (1..20).map(|i| f64::from(i) / 20.0) {
                let (low, at, high) = (path.coefficients(t - h), path.coefficients(t), path.coefficients(t + h));
                assert!(((high.alpha - low.alpha) / (2.0 * h) - at.d_alpha).abs() < 1e-7, "{path:?} α' at {t}");
                assert!(((high.sigma - low.sigma) / (2.0 * h) - at.d_sigma).abs() < 1e-7, "{path:?} σ' at {t}");
                let log = (high.alpha.ln() - low.alpha.ln()) / (2.0 * h);
                assert!((log - path.alpha_log_derivative(t)).abs() < 1e-6 * log.abs().max(1.0), "{path:?} at {t}");
            }
        }
    }

    #[test]
    fn paths_end_in_data_and_the_curved_ones_keep_the_variance() {
        let paths: [&dyn Path; 3] = [&Linear, &Gvp, &Vp::default()];
        for path in paths {
            let end = path.coefficients(1.0);
            assert!((end.alpha - 1.0).abs() < 1e-12 && end.sigma.abs() < 1e-12, "{path:?}");
        }
        for path in &paths[1..] {
            for t in [0.0, 0.3, 0.9] {
                let c = path.coefficients(t);
                assert!((c.alpha * c.alpha + c.sigma * c.sigma - 1.0).abs() < 1e-12, "{path:?}");
            }
        }
    }

    #[test]
    fn vp_overrides_agree_with_the_general_formulas() {
        let vp = Vp::default();
        for t in [0.0, 0.2, 0.7, 0.99] {
            let c = vp.coefficients(t);
            let ratio = c.d_alpha / c.alpha;
            assert!((vp.alpha_log_derivative(t) - ratio).abs() < 1e-9 * ratio);
            let variance = ratio * c.sigma * c.sigma - c.sigma * c.d_sigma;
            assert!((vp.drift_variance(t) - variance).abs() < 1e-9 * variance);
        }
    }
}
