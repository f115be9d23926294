//! `w(t)` in `dx = (v + w · score) dt + √(2w) dW`: how much noise a stochastic sampler adds.
use crate::path::Path;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The forms of SiT ([arXiv 2401.08740](https://arxiv.org/abs/2401.08740)), each with a factor `n`.
///
/// Every form has the same marginals as the ordinary equation; none stays finite in general at both ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiffusionForm {
    /// `n`.
    Constant,
    /// `n` times the [drift variance](Path::drift_variance), the coefficient of score-based diffusion models.
    Sbdm,
    /// `n σ(t)`.
    #[default]
    Sigma,
    /// `n (1 − t)`, on every path; REPA's.
    Linear,
    /// `¼ (n cos πt + 1)²`.
    Decreasing,
    /// `n sin² πt`.
    IncreasingDecreasing,
}

impl DiffusionForm {
    /// `w(t)` with factor `norm`.
    pub fn at(self, norm: f64, path: &dyn Path, t: f64) -> f64 {
        match self {
            Self::Constant => norm,
            Self::Sbdm => norm * path.drift_variance(t),
            Self::Sigma => norm * path.coefficients(t).sigma,
            Self::Linear => norm * (1.0 - t),
            Self::Decreasing => 0.25 * (norm * (PI * t).cos() + 1.0).powi(2),
            Self::IncreasingDecreasing => norm * (PI * t).sin().powi(2),
        }
    }
}
