//! `v ← s(t) v`: a velocity scale over time.
//!
//! A network trained by least squares predicts velocities that are too short where it is unsure; the Scale Schedule
//! Corrector of Velocity Deficit ([arXiv 2605.14819](https://arxiv.org/abs/2605.14819)) makes them longer while sampling.
//! The curves here are our reading of it: s runs from one value at the noise to another at the data. A table may hold
//! what was measured, `s(t) = E⟨v*, v⟩ / E‖v‖²`.
use crate::Problem;
use crate::sample::{At, VelocityField};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Points of a table at most.
const MOST_POINTS: usize = 10_000;

/// The correction in the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VelocityScaleConfig {
    /// s(t).
    pub scale: ScaleCurve,
}

/// s(t), from the noise (t = 0) to the data (t = 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScaleCurve {
    /// `start + (end − start) t`.
    Linear {
        /// s at the noise. Finite, > 0.
        start: f64,
        /// s at the data. Finite, > 0.
        end: f64,
    },
    /// `end + (start − end) (1 + cos πt)/2`: flat at both ends.
    Cosine {
        /// s at the noise. Finite, > 0.
        start: f64,
        /// s at the data. Finite, > 0.
        end: f64,
    },
    /// `start + (end − start) t^p`.
    Power {
        /// s at the noise. Finite, > 0.
        start: f64,
        /// s at the data. Finite, > 0.
        end: f64,
        /// p. Finite, > 0.
        exponent: f64,
    },
    /// Straight lines between points, constant before the first and after the last.
    Table {
        /// `[t, s]` with increasing t in [0, 1]; s finite and > 0.
        points: Vec<[f64; 2]>,
    },
}

impl ScaleCurve {
    /// s at `t`; times a little beyond [0, 1] have the value of the nearer end.
    pub fn at(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Linear { start, end } => start + (end - start) * t,
            Self::Cosine { start, end } => end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
            Self::Power { start, end, exponent } => start + (end - start) * t.powf(*exponent),
            Self::Table { points } => {
                let place = points.partition_point(|[time, _]| *time <= t);
                match (place.checked_sub(1).and_then(|before| points.get(before)), points.get(place)) {
                    (Some([t0, s0]), Some([t1, s1])) => s0 + (s1 - s0) * (t - t0) / (t1 - t0),
                    (Some([_, s]), None) | (None, Some([_, s])) => *s,
                    (None, None) => 1.0,
                }
            }
        }
    }

    fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = |value: f64| value.is_finite() && value > 0.0;
        let mut positive = |key: &str, value: f64| {
            Problem::unless(&mut problems, valid(value), path, key, value, "must be finite and > 0");
        };
        match self {
            Self::Linear { start, end } | Self::Cosine { start, end } => {
                positive("start", *start);
                positive("end", *end);
            }
            Self::Power { start, end, exponent } => {
                positive("start", *start);
                positive("end", *end);
                positive("exponent", *exponent);
            }
            Self::Table { points } => {
                let count = points.len();
                let (some, must) =
                    ((1..=MOST_POINTS).contains(&count), format!("must hold 1 to {MOST_POINTS} points [t, s]"));
                Problem::unless(&mut problems, some, path, "points", format!("{count} points"), must);
                let increasing = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
                let inside = points.iter().all(|[t, s]| (0.0..=1.0).contains(t) && valid(*s));
                let must = "must be [t, s] with increasing t in [0, 1], and s finite and > 0";
                Problem::unless(&mut problems, increasing && inside, path, "points", "[…]", must);
            }
        }
        problems
    }
}

impl VelocityScaleConfig {
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        self.scale.problems(&format!("{path}.scale"))
    }
}

/// A field whose velocity at t is `s(t)` times that of the inner one, guidance included. Where s = 1 no bit changes.
pub struct VelocityScale<'a, const D: usize> {
    inner: &'a dyn VelocityField<D>,
    config: VelocityScaleConfig,
}

impl<'a, const D: usize> VelocityScale<'a, D> {
    /// Scales the velocities of `inner`.
    pub fn new(inner: &'a dyn VelocityField<D>, config: VelocityScaleConfig) -> Self {
        Self { inner, config }
    }
}

impl<const D: usize> VelocityField<D> for VelocityScale<'_, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let velocity = self.inner.velocity_at(x, at);
        let scale = self.config.scale.at(at.time);
        if scale == 1.0 { velocity } else { velocity.mul_scalar(scale) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn curve(json: &str) -> ScaleCurve {
        serde_json::from_str(json).unwrap()
    }

    const CURVES: [&str; 4] = [
        r#"{"kind": "linear", "start": 1.2, "end": 0.9}"#,
        r#"{"kind": "cosine", "start": 1.2, "end": 0.9}"#,
        r#"{"kind": "power", "start": 1.2, "end": 0.9, "exponent": 3}"#,
        r#"{"kind": "table", "points": [[0, 1.2], [0.25, 1.0], [1, 0.9]]}"#,
    ];

    #[test]
    fn curves_run_from_the_start_to_the_end_and_no_further() {
        for json in CURVES {
            let curve = curve(json);
            assert!(curve.problems("s").is_empty(), "{json}");
            for (t, expected) in [(0.0, 1.2), (1.0, 0.9), (-1e-3, 1.2), (1.001, 0.9)] {
                assert!((curve.at(t) - expected).abs() < 1e-12, "{json} at {t}: {}", curve.at(t));
            }
            let values: Vec<f64> = (0..=50).map(|i| curve.at(f64::from(i) / 50.0)).collect();
            assert!(values.windows(2).all(|pair| pair[1] <= pair[0] + 1e-12), "{json}: {values:?}");
        }
        assert!((curve(CURVES[0]).at(0.5) - 1.05).abs() < 1e-12);
        assert!((curve(CURVES[1]).at(0.5) - 1.05).abs() < 1e-12);
        assert!((curve(CURVES[2]).at(0.5) - (1.2 - 0.3 / 8.0)).abs() < 1e-12);
        assert!((curve(CURVES[3]).at(0.125) - 1.1).abs() < 1e-12);
    }

    #[test]
    fn a_scale_of_one_changes_no_bit_and_others_multiply() {
        let x = Tensor::<2>::from_floats([[0.1, -1.7], [3.3, 1e-7]], &Device::flex());
        let inner = |x: Tensor<2>, t: f64| x.mul_scalar(1.0 / 3.0 + t);
        let bits = |field: &dyn VelocityField<2>, t: f64| {
            let values = field.velocity(x.clone(), t).into_data().try_to_vec::<f32>().unwrap();
            values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let scaled = |json: &str| VelocityScaleConfig { scale: curve(json) };
        let one = scaled(r#"{"kind": "linear", "start": 1, "end": 1}"#);
        for t in [0.0, 0.3, 1.0] {
            assert_eq!(bits(&VelocityScale::new(&inner, one.clone()), t), bits(&inner, t));
        }
        let double = scaled(r#"{"kind": "table", "points": [[0.5, 2]]}"#);
        let twice = |x: Tensor<2>, t: f64| inner(x, t).mul_scalar(2.0);
        assert_eq!(bits(&VelocityScale::new(&inner, double), 0.3), bits(&twice, 0.3));
    }

    #[test]
    fn impossible_values_are_reported() {
        let paths = |json: &str| curve(json).problems("s").into_iter().map(|p| p.path).collect::<Vec<_>>();
        assert_eq!(paths(r#"{"kind": "linear", "start": 0, "end": -1}"#), ["s.start", "s.end"]);
        assert_eq!(paths(r#"{"kind": "power", "start": 1, "end": 1, "exponent": 0}"#), ["s.exponent"]);
        for points in ["[]", "[[0, 1], [0, 1]]", "[[0, 1], [2, 1]]", "[[0, 0]]"] {
            assert_eq!(paths(&format!(r#"{{"kind": "table", "points": {points}}}"#)), ["s.points"], "{points}");
        }
        assert!(serde_json::from_str::<ScaleCurve>(r#"{"kind": "linear", "start": 1, "end": 1, "p": 1}"#).is_err());
    }
}
