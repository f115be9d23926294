//! A mixture range that falls over the training: `γ(p) = γ₁ + (γ₀ − γ₁) f(p)`, p the part of the training that is done.
use super::{Product, Slowing, TimestepStrategy, Timesteps};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::sync::Arc;

/// How γ falls from its first to its last value, over p = u/(U − 1) for step u = 0, …, U − 1 of U.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GammaDecay {
    /// A straight line, f(p) = 1 − p.
    #[default]
    Linear,
    /// Half a cosine, f(p) = (1 + cos πp)/2.
    Cosine,
}

impl GammaDecay {
    /// γ when the part `progress` in [0, 1] of the training is done: `first` at 0 and `last` at 1, to the last bit.
    pub fn gamma(self, first: f64, last: f64, progress: f64) -> f64 {
        let p = progress.clamp(0.0, 1.0);
        let left = match self {
            Self::Linear => 1.0 - p,
            Self::Cosine => 0.5 * (1.0 + (PI * p).cos()),
        };
        if left >= 1.0 { first } else { last + (first - last) * left }
    }
}

/// A [`Product`] whose slowing is U\[(1−γ)t, t\] with a γ that falls over the training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decaying {
    /// With the slowing of the first step.
    pub product: Product,
    pub first: f64,
    pub last: f64,
    pub decay: GammaDecay,
}

impl TimestepStrategy for Decaying {
    fn sample(&self, rng: &mut dyn rand::Rng) -> Timesteps {
        self.product.sample(rng)
    }

    fn at(&self, progress: f64) -> Option<Arc<dyn TimestepStrategy>> {
        let gamma = self.decay.gamma(self.first, self.last, progress);
        Some(Arc::new(self.product.with_slowing(Slowing::Range { gamma })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestep::StrategyConfig;
    use crate::timestep::statistics::stream;

    #[test]
    fn gamma_falls_from_its_first_to_its_last_value() {
        for (first, last) in [(0.4, 0.0), (0.8, 0.3), (0.1, 0.1)] {
            for decay in [GammaDecay::Linear, GammaDecay::Cosine] {
                let at = |p: f64| decay.gamma(first, last, p);
                assert_eq!((at(0.0), at(1.0), at(-1.0), at(2.0)), (first, last, first, last));
                assert!((at(0.5) - 0.5 * (first + last)).abs() < 1e-15);
                assert!((0..100).all(|i| at(f64::from(i) / 100.0) >= at(f64::from(i + 1) / 100.0)));
            }
        }
        assert!((GammaDecay::Linear.gamma(0.4, 0.0, 0.25) - 0.3).abs() < 1e-15);
        let cosine = 0.2 * (1.0 + std::f64::consts::FRAC_1_SQRT_2);
        assert!((GammaDecay::Cosine.gamma(0.4, 0.0, 0.25) - cosine).abs() < 1e-15);
    }

    #[test]
    fn at_every_step_it_draws_what_mixflow_with_that_gamma_draws() {
        let strategy = StrategyConfig::Decaying { gamma: 0.4, final_gamma: 0.1, decay: GammaDecay::Linear };
        let strategy = strategy.build(None).unwrap();
        for (progress, gamma) in [(0.0, 0.4), (0.5, 0.1 + (0.4 - 0.1) * 0.5), (1.0, 0.1)] {
            let mixflow = StrategyConfig::mixflow(gamma).build(None).unwrap();
            let now = strategy.at(progress).unwrap();
            for seed in 0..100 {
                assert_eq!(now.sample(&mut stream(seed)), mixflow.sample(&mut stream(seed)));
            }
            assert!(mixflow.at(progress).is_none());
        }
    }

    #[test]
    fn it_is_read_and_checked() {
        let parse = |json: &str| serde_json::from_str::<StrategyConfig>(json);
        let decaying = parse(r#"{"kind": "decaying", "gamma": 0.4}"#).unwrap();
        let expected = StrategyConfig::Decaying { gamma: 0.4, final_gamma: 0.0, decay: GammaDecay::Linear };
        assert_eq!((decaying, decaying.gamma(), decaying.with_gamma(0.1)), (expected, None, None));
        assert_eq!(parse(&serde_json::to_string(&decaying).unwrap()).unwrap(), decaying);
        let said = |json: &str| -> Vec<String> {
            parse(json).unwrap().problems("strategy").iter().map(ToString::to_string).collect()
        };
        let both = said(r#"{"kind": "decaying", "gamma": 1.5, "final_gamma": -0.1, "decay": "cosine"}"#);
        assert_eq!(
            both,
            ["strategy.gamma = 1.5: must be in [0, 1]", "strategy.final_gamma = -0.1: must be in [0, gamma = 1.5]"]
        );
        let rising = said(r#"{"kind": "decaying", "gamma": 0.1, "final_gamma": 0.2}"#);
        assert_eq!(rising, ["strategy.final_gamma = 0.2: must be in [0, gamma = 0.1]"]);
        assert!(parse(r#"{"kind": "decaying", "decay": "steps"}"#).is_err());
        assert!(parse(r#"{"kind": "decaying", "final": 0.1}"#).is_err());
    }
}
