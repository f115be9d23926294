//! `t' = t/(t + s(1 − t))`: the static time shift.
use crate::Problem;
use serde::{Deserialize, Serialize};

/// A static shift of the training timestep towards the noise, for data of high dimension.
///
/// On the noise level τ = 1 − t it is `sτ/(1 + (s−1)τ)` (SD3, [arXiv 2403.03206](https://arxiv.org/abs/2403.03206),
/// section 5.3.2; RAE). JSON: `{"factor": 3}` or `{"dim": 196608, "base": 4096}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, deny_unknown_fields, expecting = "expected {\"factor\": s} or {\"dim\": d, \"base\": b}")]
pub enum TimeShift {
    /// The factor itself.
    Factor {
        /// s; above 1 favours the noise end, 1 changes nothing. Finite, > 0.
        factor: f64,
    },
    /// s = √(dim/base).
    Dimension {
        /// The number of values of one sample. Finite, > 0.
        dim: f64,
        /// The number of values at which nothing is shifted; 4096 in RAE. Finite, > 0.
        #[serde(default = "default_base")]
        base: f64,
    },
}

fn default_base() -> f64 {
    4096.0
}

impl TimeShift {
    /// The factor s.
    pub fn factor(&self) -> f64 {
        match *self {
            Self::Factor { factor } => factor,
            Self::Dimension { dim, base } => (dim / base).sqrt(),
        }
    }

    /// The shifted time of `t`, both in [0, 1].
    pub fn map(&self, t: f64) -> f64 {
        t / (t + self.factor() * (1.0 - t))
    }

    /// Every parameter out of its range, with `path` in front of its name.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut positive = |key, value: f64| {
            Problem::unless(
                &mut problems,
                value > 0.0 && value.is_finite(),
                path,
                key,
                value,
                "must be finite and > 0",
            );
        };
        match *self {
            Self::Factor { factor } => positive("factor", factor),
            Self::Dimension { dim, base } => {
                positive("dim", dim);
                positive("base", base);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_formula_on_the_noise_level() {
        let shift: TimeShift = serde_json::from_str(r#"{"dim": 196608}"#).unwrap();
        let s = 48_f64.sqrt();
        assert_eq!(shift.factor(), s);
        for t in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let tau = 1.0 - t;
            assert!((1.0 - shift.map(t) - s * tau / (1.0 + (s - 1.0) * tau)).abs() < 1e-15);
            assert!(shift.map(t) <= t);
        }
        assert_eq!(TimeShift::Factor { factor: 1.0 }.map(0.3), 0.3);
    }

    #[test]
    fn misspelt_keys_and_impossible_factors_are_refused() {
        assert!(serde_json::from_str::<TimeShift>(r#"{"factor": 3, "bass": 1}"#).is_err());
        let message = serde_json::from_str::<TimeShift>("{}").unwrap_err().to_string();
        assert!(message.contains("factor"), "{message}");
        let problems = TimeShift::Factor { factor: f64::NAN }.problems("time_shift");
        assert_eq!(problems[0].to_string(), "time_shift.factor = NaN: must be finite and > 0");
    }
}
