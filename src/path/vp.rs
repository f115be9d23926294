//! `α = exp(L)`, `σ² = 1 − exp(2L)` with `L(t) = −¼(1−t)²(σ_max − σ_min) − ½(1−t)σ_min`.
use super::{Path, PathCoefficients};

/// The variance-preserving diffusion path of SiT.
///
/// At t = 1 the derivative of σ is −∞, so use it on [0, 1 − ε] ([`super::TrainingInterval`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vp {
    /// β at the data end; 0.1 in SiT.
    pub sigma_min: f64,
    /// β at the noise end; 20 in SiT.
    pub sigma_max: f64,
}

impl Default for Vp {
    fn default() -> Self {
        Self { sigma_min: 0.1, sigma_max: 20.0 }
    }
}

impl Vp {
    fn log_alpha(&self, t: f64) -> f64 {
        let s = 1.0 - t;
        -0.25 * s * s * (self.sigma_max - self.sigma_min) - 0.5 * s * self.sigma_min
    }
}

impl Path for Vp {
    fn coefficients(&self, t: f64) -> PathCoefficients {
        let (log, ratio) = (self.log_alpha(t), self.alpha_log_derivative(t));
        let alpha = log.exp();
        // expm1 keeps σ exact near the data, where 1 − α² cancels.
        let sigma = (-(2.0 * log).exp_m1()).sqrt();
        PathCoefficients { alpha, sigma, d_alpha: alpha * ratio, d_sigma: -alpha * alpha * ratio / sigma }
    }

    /// L'(t) = ½(1−t)(σ_max − σ_min) + ½σ_min.
    fn alpha_log_derivative(&self, t: f64) -> f64 {
        0.5 * (1.0 - t) * (self.sigma_max - self.sigma_min) + 0.5 * self.sigma_min
    }

    /// β/2 with β = σ_min + (1−t)(σ_max − σ_min): for this path the same as d ln α/dt.
    fn drift_variance(&self, t: f64) -> f64 {
        self.alpha_log_derivative(t)
    }
}
