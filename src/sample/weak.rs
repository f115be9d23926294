//! Guidance away from a weaker network: autoguidance and skip-layer guidance.
use super::At;
use super::guidance::{inside, interval_problems};
use crate::Problem;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How the prediction of a second, weaker network guides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WeakGuidanceConfig {
    /// `v_weak + w (v − v_weak)` ([arXiv 2406.02507](https://arxiv.org/abs/2406.02507)); RAE, with a smaller
    /// network trained for less time. Both see the same conditions. Not with classifier-free guidance.
    Autoguidance {
        /// `w`: 1 is the network alone, above 1 extrapolates. Finite and at least 0.
        #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
        scale: f64,
        /// `[first, last]` time in which it guides, as for classifier-free guidance; always if left out.
        #[serde(default)]
        interval: Option<[f64; 2]>,
    },
    /// `v_cfg + s (v_c − v_skip)`, where the weak network is the same with layers skipped; Stable Diffusion 3.5.
    ///
    /// Active in steps `i` of `n` with `first n < i < last n`, so only with solvers of fixed steps.
    SkipLayer {
        /// `s`: 0 changes nothing. Finite and at least 0.
        #[serde(default = "skip_scale")]
        #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
        scale: f64,
        /// In [0, 1].
        #[serde(default = "skip_first")]
        first: f64,
        /// In [0, 1], at least `first`.
        #[serde(default = "skip_last")]
        last: f64,
    },
}

fn skip_scale() -> f64 {
    2.5
}

fn skip_first() -> f64 {
    0.01
}

fn skip_last() -> f64 {
    0.2
}

impl WeakGuidanceConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (Self::Autoguidance { scale, .. } | Self::SkipLayer { scale, .. }) = *self;
        let valid = (scale as f32).is_finite() && scale >= 0.0;
        Problem::unless(&mut problems, valid, path, "scale", scale, "must be finite in f32 and at least 0");
        match *self {
            Self::Autoguidance { interval, .. } => interval_problems(&mut problems, path, interval),
            Self::SkipLayer { first, last, .. } => {
                let valid = 0.0 <= first && first <= last && last <= 1.0;
                let must = format!("must be in [0, last], and `{path}.last` = {last} in [0, 1]");
                Problem::unless(&mut problems, valid, path, "first", first, must);
            }
        }
        problems
    }

    /// Whether the weak prediction matters at `at`.
    pub fn is_active_at(&self, at: &At<'_>) -> bool {
        match *self {
            Self::Autoguidance { scale, interval } => scale != 1.0 && inside(interval, at.time),
            Self::SkipLayer { scale, first, last } => {
                let (index, count) = (at.step.index as f64, at.step.count as f64);
                scale != 0.0 && first * count < index && index < last * count
            }
        }
    }

    /// Whether the weak prediction, where active, is all there is.
    pub(super) fn replaces_the_network(&self) -> bool {
        matches!(self, Self::Autoguidance { scale: 0.0, .. })
    }

    /// Whether the weak prediction, where active, is compared with the conditional one even if nothing else needs that.
    pub(super) fn compares_the_conditional(&self) -> bool {
        matches!(self, Self::SkipLayer { .. })
    }

    /// The guided velocity from the `conditional` one, the one already `guided` by its null condition, and the `weak`.
    pub fn combine<const D: usize>(&self, conditional: Tensor<D>, guided: Tensor<D>, weak: Tensor<D>) -> Tensor<D> {
        match *self {
            Self::Autoguidance { scale, .. } => weak.clone() + (guided - weak).mul_scalar(scale),
            Self::SkipLayer { scale, .. } => guided + (conditional - weak).mul_scalar(scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;

    #[test]
    fn skip_layer_guidance_is_active_strictly_between_its_fractions() {
        let config: WeakGuidanceConfig = serde_json::from_str(r#"{"kind": "skip_layer"}"#).unwrap();
        assert!(config.problems("w").is_empty());
        let active = |index, count| config.is_active_at(&At::within(Step { index, count, start: 0.0 }, 0.0));
        assert_eq!((0..50).filter(|i| active(*i, 50)).collect::<Vec<_>>(), (1..10).collect::<Vec<_>>());
        assert!(!active(1, 100) && active(2, 100), "0.01 n itself is outside");
        assert!(!config.is_active_at(&At::alone(0.1)), "outside of an integration it is off");
    }

    #[test]
    fn impossible_values_are_reported() {
        let paths = |json: &str| {
            let config: WeakGuidanceConfig = serde_json::from_str(json).unwrap();
            config.problems("w").into_iter().map(|p| p.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(r#"{"kind": "autoguidance", "scale": -1, "interval": [1, 0]}"#), ["w.scale", "w.interval"]);
        assert_eq!(paths(r#"{"kind": "skip_layer", "first": 0.3}"#), ["w.first"]);
    }
}
