//! The path by its name in the JSON.
use super::{Gvp, Linear, Path, PathCoefficients, Vp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which path relates noise and data: `"linear"`, `"gvp"` or `"vp"`.
///
/// It is a [`Path`] itself, so code may say `PathConfig::Linear` wherever a path is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathConfig {
    /// The straight path of rectified flow; what REPA, RAE and Stable Diffusion 3.5 use.
    #[default]
    Linear,
    /// SiT's generalised variance-preserving path.
    Gvp,
    /// SiT's variance-preserving diffusion path, β from 0.1 to 20.
    Vp,
}

impl PathConfig {
    /// The path.
    pub fn build(&self) -> Arc<dyn Path> {
        match self {
            Self::Linear => Arc::new(Linear),
            Self::Gvp => Arc::new(Gvp),
            Self::Vp => Arc::new(Vp::default()),
        }
    }
}

impl Path for PathConfig {
    fn coefficients(&self, t: f64) -> PathCoefficients {
        match self {
            Self::Linear => Linear.coefficients(t),
            Self::Gvp => Gvp.coefficients(t),
            Self::Vp => Vp::default().coefficients(t),
        }
    }

    fn alpha_log_derivative(&self, t: f64) -> f64 {
        match self {
            Self::Linear => Linear.alpha_log_derivative(t),
            Self::Gvp => Gvp.alpha_log_derivative(t),
            Self::Vp => Vp::default().alpha_log_derivative(t),
        }
    }

    fn drift_variance(&self, t: f64) -> f64 {
        match self {
            Self::Linear => Linear.drift_variance(t),
            Self::Gvp => Gvp.drift_variance(t),
            Self::Vp => Vp::default().drift_variance(t),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_path_it_names() {
        for config in [PathConfig::Linear, PathConfig::Gvp, PathConfig::Vp] {
            let path = config.build();
            for t in [0.1, 0.5, 0.9] {
                assert_eq!(config.coefficients(t), path.coefficients(t));
                assert_eq!(config.drift_variance(t), path.drift_variance(t));
                assert_eq!(config.alpha_log_derivative(t), path.alpha_log_derivative(t));
                assert_eq!(config.velocity_weight(t), path.velocity_weight(t));
            }
        }
    }
}
