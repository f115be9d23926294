//! The law of the slowed timestep `m` given the training timestep `t`.
use super::Gammas;
use crate::Problem;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The law of the slowed timestep `m` given the training timestep `t`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Slowing {
    /// `m = t`: plain training.
    None {},
    /// U\[0, 1\], whatever `t` is.
    UniformAll {},
    /// U\[0, t\].
    UniformBelow {},
    /// U\[(1−γ)t, t\], MixFlow's.
    Range {
        /// The mixture range γ in [0, 1]; 0 is plain training.
        #[serde(default = "default_gamma")]
        gamma: f64,
    },
    /// U\[(1−γ(t))t, t\]: MixFlow's with a range that depends on t.
    RangeByT {
        /// γ(t).
        gammas: Gammas,
    },
    /// U\[0, f t\].
    Fraction {
        /// The fraction f in [0, 1].
        #[serde(default = "default_fraction")]
        fraction: f64,
    },
    /// `m = f t`, fixed: nothing is drawn.
    Factor {
        /// The factor f in [0, 1].
        factor: f64,
    },
}

/// The paper's γ on ImageNet.
pub(super) fn default_gamma() -> f64 {
    0.8
}

/// The paper's ablation U\[0, 0.2 t\].
pub(super) fn default_fraction() -> f64 {
    0.2
}

impl Slowing {
    /// `m` for `t` and `r`, both in [0, 1]; `t − γ r t` for MixFlow.
    pub fn map(&self, t: f64, r: f64) -> f64 {
        match *self {
            Self::None {} => t,
            Self::UniformAll {} => r,
            Self::UniformBelow {} => r * t,
            Self::Range { gamma } => t - gamma * r * t,
            Self::RangeByT { gammas } => t - f64::from(gammas.at(t as f32)) * r * t,
            Self::Fraction { fraction } => fraction * r * t,
            Self::Factor { factor } => factor * t,
        }
    }

    /// The smallest and largest `m` for `t`, in the arithmetic of f32.
    pub fn bounds(&self, t: f32) -> (f32, f32) {
        match *self {
            Self::None {} => (t, t),
            Self::UniformAll {} => (0.0, 1.0),
            Self::UniformBelow {} => (0.0, t),
            Self::Range { gamma } => ((1.0 - gamma as f32) * t, t),
            Self::RangeByT { gammas } => ((1.0 - gammas.at(t)) * t, t),
            Self::Fraction { fraction } => (0.0, fraction as f32 * t),
            Self::Factor { factor } => (factor as f32 * t, factor as f32 * t),
        }
    }

    /// Whether `m = t` is certain.
    pub fn is_none(&self) -> bool {
        match self {
            Self::None {} | Self::Range { gamma: 0.0 } | Self::Factor { factor: 1.0 } => true,
            Self::RangeByT { gammas } => gammas.are_none(),
            _ => false,
        }
    }

    /// One `m` within the [bounds](Self::bounds) to the last bit; draws nothing where `m` is certain.
    pub fn sample(&self, t: f32, rng: &mut dyn Rng) -> f32 {
        match self {
            _ if self.is_none() => t,
            Self::Factor { .. } => self.bounds(t).0,
            _ => self.within_bounds(t, rng.random()),
        }
    }

    /// The map in f64, rounded once and held within the bounds, which the rounding can miss by one bit.
    fn within_bounds(&self, t: f32, r: f64) -> f32 {
        let (low, high) = self.bounds(t);
        (self.map(f64::from(t), r) as f32).max(low).min(high)
    }

    /// Every parameter out of its range, with `path` in front of its name.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut unit = |key, value: f64| {
            Problem::unless(&mut problems, (0.0..=1.0).contains(&value), path, key, value, "must be in [0, 1]");
        };
        match *self {
            Self::None {} | Self::UniformAll {} | Self::UniformBelow {} => {}
            Self::Range { gamma } => unit("gamma", gamma),
            Self::RangeByT { gammas } => problems.extend(gammas.problems(path)),
            Self::Fraction { fraction } => unit("fraction", fraction),
            Self::Factor { factor } => unit("factor", factor),
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestep::statistics::{kolmogorov_smirnov, stream};

    #[test]
    fn slowed_timesteps_are_uniform_between_their_bounds() {
        for (slowing, low, high) in [
            (Slowing::UniformAll {}, 0.0, 1.0),
            (Slowing::UniformBelow {}, 0.0, 0.6),
            (Slowing::Range { gamma: 0.3 }, 0.42, 0.6),
            (Slowing::Fraction { fraction: 0.2 }, 0.0, 0.12),
            (Slowing::RangeByT { gammas: vec![0.0, 0.5].try_into().unwrap() }, 0.42, 0.6),
        ] {
            let mut rng = stream(21);
            let draws = (0..200_000).map(|_| f64::from(slowing.sample(0.6, &mut rng)));
            kolmogorov_smirnov(&format!("{slowing:?}"), draws, |m| (m - low) / (high - low));
        }
    }

    #[test]
    fn a_million_draws_keep_the_bounds_to_the_last_bit() {
        let mut rng = stream(22);
        for gamma in [0.0, 1e-7, 0.1, 0.3, 0.8, 1.0] {
            let (slowing, gamma) = (Slowing::Range { gamma }, gamma as f32);
            for _ in 0..1_000_000 / 6 + 1 {
                let t: f32 = rng.random::<f32>().sqrt();
                let m = slowing.sample(t, &mut rng);
                assert!((1.0 - gamma) * t <= m && m <= t, "gamma {gamma}, t {t}, m {m}");
                assert!(gamma > 0.0 || m == t);
            }
        }
    }

    #[test]
    fn one_gamma_for_all_t_draws_what_the_range_draws() {
        let by_t = Slowing::RangeByT { gammas: vec![0.3].try_into().unwrap() };
        let (mut one, mut other) = (stream(25), stream(25));
        for t in (0..1000).map(|i| i as f32 / 1000.0) {
            let expected = Slowing::Range { gamma: f64::from(0.3f32) }.sample(t, &mut one);
            assert_eq!(by_t.sample(t, &mut other).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn the_ends_of_the_range_keep_the_bounds_to_the_last_bit() {
        for gamma in [0.1, 0.3, 0.7, 0.8, 0.9, 1.0] {
            let slowing = Slowing::Range { gamma };
            for t in (0..=10_000).map(|i| i as f32 / 10_000.0) {
                assert_eq!(slowing.within_bounds(t, 0.0), t);
                let m = slowing.within_bounds(t, 1.0);
                assert!((1.0 - gamma as f32) * t <= m && m <= t, "gamma {gamma}, t {t}, m {m}");
            }
        }
    }

    #[test]
    fn a_factor_is_fixed_and_draws_nothing() {
        let mut rng = stream(24);
        let slowing = Slowing::Factor { factor: 0.75 };
        assert_eq!([0.0, 0.5, 1.0].map(|t| slowing.sample(t, &mut rng)), [0.0, 0.375, 0.75]);
        assert_eq!(Slowing::Factor { factor: 1.0 }.sample(0.3, &mut rng), 0.3);
        assert_eq!(rng.next_u64(), stream(24).next_u64());
        let text =
            |factor| Slowing::Factor { factor }.problems("slowing").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(1.5), ["slowing.factor = 1.5: must be in [0, 1]"]);
        assert_eq!(text(0.5), [""; 0]);
        let parsed: Slowing = serde_json::from_str(r#"{"kind": "factor", "factor": 0.75}"#).unwrap();
        assert_eq!(parsed, slowing);
    }

    #[test]
    fn disabled_slowing_draws_nothing() {
        let next = |slowing: Option<Slowing>| {
            let mut rng = stream(23);
            if let Some(slowing) = slowing {
                slowing.sample(0.5, &mut rng);
            }
            rng.next_u64()
        };
        assert_eq!(next(None), next(Some(Slowing::None {})));
        assert_eq!(next(None), next(Some(Slowing::Range { gamma: 0.0 })));
        assert_ne!(next(None), next(Some(Slowing::Range { gamma: 0.5 })));
    }
}
