//! `x_t = sin(πt/2) x1 + cos(πt/2) x0`.
use super::{Path, PathCoefficients};
use std::f64::consts::FRAC_PI_2;

/// The generalised variance-preserving path of SiT (α = sin(πt/2), σ = cos(πt/2), so α² + σ² = 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gvp;

impl Path for Gvp {
    fn coefficients(&self, t: f64) -> PathCoefficients {
        let (sin, cos) = (FRAC_PI_2 * t).sin_cos();
        PathCoefficients { alpha: sin, sigma: cos, d_alpha: FRAC_PI_2 * cos, d_sigma: -FRAC_PI_2 * sin }
    }
}
