//! `x_t = t x1 + (1 − t) x0`.
use super::{Path, PathCoefficients};

/// The straight path of rectified flow (α = t, σ = 1 − t); its velocity `x1 − x0` does not depend on t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linear;

impl Path for Linear {
    fn coefficients(&self, t: f64) -> PathCoefficients {
        PathCoefficients { alpha: t, sigma: 1.0 - t, d_alpha: 1.0, d_sigma: -1.0 }
    }
}
