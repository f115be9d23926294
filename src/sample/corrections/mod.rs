//! Corrections of a velocity field while sampling, for networks that are not post-trained.
//!
//! Each wraps any [`VelocityField`](super::VelocityField), another correction included.
mod differential;
mod epsilon_scaling;
mod static_shift;
mod time_shift;
mod velocity_scale;

pub use differential::DifferentialCorrection;
pub use epsilon_scaling::{EpsilonScaling, Scaled};
pub use static_shift::StaticShift;
pub use time_shift::{TimeShiftConfig, TimeShiftSampler};
pub use velocity_scale::{ScaleCurve, VelocityScale, VelocityScaleConfig};

use crate::Problem;
use serde::{Deserialize, Serialize};

/// One correction in the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CorrectionConfig {
    /// Divides the predicted noise or velocity by a constant.
    EpsilonScaling(EpsilonScalingConfig),
    /// Tells the network the time at which the state has the variance it should.
    TimeShiftSampler(TimeShiftConfig),
    /// Tells the network a time that is earlier by a constant fraction.
    StaticShift(StaticShiftConfig),
    /// Moves the end of each Euler step away from, or towards, the predicted data.
    Differential(DifferentialConfig),
    /// Multiplies the velocity by a scale that runs over time.
    VelocityScale(VelocityScaleConfig),
}

/// A static time shift: the network is told `(1 − δ) t`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StaticShiftConfig {
    /// δ in [0, 1).
    pub delta: f64,
}

/// DCW, the differential correction in the wavelet domain ([arXiv 2604.16044](https://arxiv.org/abs/2604.16044)), with
/// the coefficients that its code recommends. Euler's method only; height and width must be even.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DifferentialConfig {
    /// The coefficient of the low frequencies, times σ(t). Finite.
    pub low: f64,
    /// The coefficient of the high frequencies, times 1 − σ(t). Finite.
    #[serde(default)]
    pub high: f64,
}

/// Epsilon Scaling ([arXiv 2308.15321](https://arxiv.org/abs/2308.15321)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EpsilonScalingConfig {
    /// λ; 1.004 to 1.017 in the official code. Finite, > 0.
    pub lambda: f64,
    /// What is divided by λ.
    #[serde(default)]
    pub scaled: Scaled,
}

impl CorrectionConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        match self {
            Self::EpsilonScaling(config) => {
                let mut problems = Vec::new();
                let lambda = config.lambda;
                let valid = lambda.is_finite() && lambda > 0.0;
                Problem::unless(&mut problems, valid, path, "lambda", lambda, "must be finite and > 0");
                problems
            }
            Self::TimeShiftSampler(config) => config.problems(path),
            Self::VelocityScale(config) => config.problems(path),
            Self::StaticShift(StaticShiftConfig { delta }) => {
                let mut problems = Vec::new();
                Problem::unless(&mut problems, (0.0..1.0).contains(delta), path, "delta", delta, "must be in [0, 1)");
                problems
            }
            Self::Differential(DifferentialConfig { low, high }) => {
                let mut problems = Vec::new();
                for (key, value) in [("low", low), ("high", high)] {
                    Problem::unless(&mut problems, value.is_finite(), path, key, value, "must be finite");
                }
                problems
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> serde_json::Result<CorrectionConfig> {
        serde_json::from_str(json)
    }

    #[test]
    fn corrections_are_named_and_misspelt_keys_refused() {
        let scaling = parse(r#"{"kind": "epsilon_scaling", "lambda": 1.005}"#).unwrap();
        let expected = EpsilonScalingConfig { lambda: 1.005, scaled: Scaled::Noise };
        assert_eq!(scaling, CorrectionConfig::EpsilonScaling(expected));
        assert!(parse(r#"{"kind": "epsilon_scaling", "lambda": 1.005, "lamda": 1}"#).is_err());
        assert!(parse(r#"{"kind": "time_shift_sampler", "window": 0.1, "below": 0.5, "beneath": 1}"#).is_err());
    }

    #[test]
    fn impossible_values_are_reported() {
        let paths = |json: &str| parse(json).unwrap().problems("c").into_iter().map(|p| p.path).collect::<Vec<_>>();
        assert_eq!(paths(r#"{"kind": "epsilon_scaling", "lambda": 0}"#), ["c.lambda"]);
        assert_eq!(paths(r#"{"kind": "static_shift", "delta": 1}"#), ["c.delta"]);
        let json = r#"{"kind": "time_shift_sampler", "window": -1, "below": 2, "resolution": 0, "data_variance": -1}"#;
        assert_eq!(paths(json), ["c.window", "c.below", "c.data_variance", "c.resolution"]);
    }
}
