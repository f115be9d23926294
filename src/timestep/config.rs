//! The strategy by its name in the JSON.
use super::decaying::Decaying;
use super::slowing::{default_fraction, default_gamma};
use super::{Density, GammaDecay, Gammas, Product, Slowing, TimeShift, TimestepStrategy, Truncation};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the training timestep `t` and the slowed timestep `m` are drawn.
///
/// Names are `<law of t>_<law of m>` for the rows of the paper's ablation (Beta is Beta(2, 1)):
///
/// | `m` \ `t` | U\[0, 1\] | Beta(2, 1) |
/// |---|---|---|
/// | t | `standard` | `beta` |
/// | U\[0, 1\] | `uniform_all` | `beta_all` |
/// | U\[0, t\] | `uniform_below` | `beta_below` |
/// | U\[(1−γ)t, t\] | `uniform_range` | `mixflow` |
/// | U\[(1−γ(t))t, t\] | | `measured` |
/// | U\[(1−γ(p))t, t\], p the part of the training that is done | | `decaying` |
/// | U\[0, f t\] | `uniform_fraction` | `beta_fraction` |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StrategyConfig {
    /// Plain flow matching: `t` uniform, `m = t`.
    Standard {},
    /// MixFlow: `t ~ Beta(2, 1)`, `m ~ U[(1−γ)t, t]`.
    Mixflow {
        /// The mixture range γ in [0, 1].
        #[serde(default = "default_gamma")]
        gamma: f64,
        /// The interval of times Beta(2, 1) is cut down to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        truncate: Option<Truncation>,
    },
    /// MixFlow with a range that depends on t: `t ~ Beta(2, 1)`, `m ~ U[(1−γ(t))t, t]`. The paper has one γ.
    Measured {
        /// γ(t), as `mixflow slow-flow` measures it.
        gammas: Gammas,
    },
    /// MixFlow with a range that falls over the training: `t ~ Beta(2, 1)`, `m ~ U[(1−γ(p))t, t]`. The paper has one γ.
    Decaying {
        /// γ at the first step, in [0, 1].
        #[serde(default = "default_gamma")]
        gamma: f64,
        /// γ at the last step, in [0, γ of the first].
        #[serde(default)]
        final_gamma: f64,
        /// The way between them.
        #[serde(default)]
        decay: GammaDecay,
    },
    /// `t ~ Beta(2, 1)`, `m = t`.
    Beta {},
    /// `t ~ Beta(2, 1)`, `m ~ U[0, 1]`.
    BetaAll {},
    /// `t ~ Beta(2, 1)`, `m ~ U[0, t]`.
    BetaBelow {},
    /// `t ~ Beta(2, 1)`, `m ~ U[0, f t]`.
    BetaFraction {
        /// The fraction f in [0, 1].
        #[serde(default = "default_fraction")]
        fraction: f64,
    },
    /// `t` uniform, `m ~ U[0, 1]`.
    UniformAll {},
    /// `t` uniform, `m ~ U[0, t]`.
    UniformBelow {},
    /// `t` uniform, `m ~ U[(1−γ)t, t]`.
    UniformRange {
        /// The mixture range γ in [0, 1].
        #[serde(default = "default_gamma")]
        gamma: f64,
    },
    /// `t` uniform, `m ~ U[0, f t]`.
    UniformFraction {
        /// The fraction f in [0, 1].
        #[serde(default = "default_fraction")]
        fraction: f64,
    },
    /// Any density with any slowing.
    Product {
        /// The law of `t`.
        density: Density,
        /// The law of `m` given `t`.
        slowing: Slowing,
        /// The interval of times the density is cut down to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        truncate: Option<Truncation>,
    },
}

impl Default for StrategyConfig {
    fn default() -> Self {
        Self::standard()
    }
}

impl StrategyConfig {
    /// Plain flow matching: `t` uniform, `m = t`; the default.
    pub const fn standard() -> Self {
        Self::Standard {}
    }

    /// MixFlow with this mixture range γ.
    pub const fn mixflow(gamma: f64) -> Self {
        Self::Mixflow { gamma, truncate: None }
    }

    /// The mixture range γ of a strategy that has one.
    pub fn gamma(&self) -> Option<f64> {
        match *self {
            Self::Mixflow { gamma, .. } | Self::UniformRange { gamma } => Some(gamma),
            _ => None,
        }
    }

    /// The same strategy with another mixture range γ; none if it has no such number.
    pub fn with_gamma(self, gamma: f64) -> Option<Self> {
        match self {
            Self::Mixflow { truncate, .. } => Some(Self::Mixflow { gamma, truncate }),
            Self::UniformRange { .. } => Some(Self::UniformRange { gamma }),
            _ => None,
        }
    }

    /// Whether it draws otherwise at another step, so that it depends on how many there are.
    pub(crate) fn changes_over_training(&self) -> bool {
        matches!(*self, Self::Decaying { gamma, final_gamma, .. } if gamma != final_gamma)
    }

    /// The law of `t` and the law of `m` given `t`, at the first step where it changes over the training.
    pub fn factors(&self) -> (Density, Slowing) {
        let (uniform, beta) = (Density::Uniform {}, Density::BETA_2_1);
        match *self {
            Self::Standard {} => (uniform, Slowing::None {}),
            Self::Mixflow { gamma, .. } => (beta, Slowing::Range { gamma }),
            Self::Measured { gammas } => (beta, Slowing::RangeByT { gammas }),
            Self::Decaying { gamma, .. } => (beta, Slowing::Range { gamma }),
            Self::Beta {} => (beta, Slowing::None {}),
            Self::BetaAll {} => (beta, Slowing::UniformAll {}),
            Self::BetaBelow {} => (beta, Slowing::UniformBelow {}),
            Self::BetaFraction { fraction } => (beta, Slowing::Fraction { fraction }),
            Self::UniformAll {} => (uniform, Slowing::UniformAll {}),
            Self::UniformBelow {} => (uniform, Slowing::UniformBelow {}),
            Self::UniformRange { gamma } => (uniform, Slowing::Range { gamma }),
            Self::UniformFraction { fraction } => (uniform, Slowing::Fraction { fraction }),
            Self::Product { density, slowing, .. } => (density, slowing),
        }
    }

    /// The interval of times the law of `t` is cut down to, if any.
    pub fn truncation(&self) -> Option<Truncation> {
        if let Self::Product { truncate, .. } | Self::Mixflow { truncate, .. } = *self { truncate } else { None }
    }

    /// Every parameter out of its range; `path` is the key this strategy stands under, for example `strategy`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let (density, slowing) = self.factors();
        let product = matches!(self, Self::Product { .. });
        let under = |key: &str| if product { format!("{path}.{key}") } else { path.to_string() };
        let mut problems = density.problems(&under("density"));
        problems.extend(slowing.problems(&under("slowing")));
        if let Self::Decaying { gamma, final_gamma, .. } = *self {
            let (holds, condition) = ((0.0..=gamma).contains(&final_gamma), format!("must be in [0, gamma = {gamma}]"));
            Problem::unless(&mut problems, holds, path, "final_gamma", final_gamma, condition);
        }
        problems.extend(self.truncation().iter().flat_map(|t| t.problems(&density, &format!("{path}.truncate"))));
        problems
    }

    /// The strategy, with an optional time shift between the draw of `t` and that of `m`.
    ///
    /// [`Error::Config`] lists every parameter out of its range, under `strategy` and `time_shift`.
    /// ```
    /// use burn_mixflow::timestep::StrategyConfig;
    /// let config: StrategyConfig = serde_json::from_str(r#"{"kind": "mixflow", "gamma": 0.4}"#).unwrap();
    /// assert_eq!(config, StrategyConfig::mixflow(0.4));
    /// let strategy = config.build(None)?;
    /// # Ok::<(), burn_mixflow::Error>(())
    /// ```
    pub fn build(&self, shift: Option<&TimeShift>) -> Result<Arc<dyn TimestepStrategy>> {
        let mut problems = self.problems("strategy");
        problems.extend(shift.iter().flat_map(|s| s.problems("time_shift")));
        Error::if_any(problems)?;
        let (density, slowing) = self.factors();
        let product = Product::new(density, slowing, shift.copied())?;
        if let Self::Decaying { gamma: first, final_gamma: last, decay } = *self {
            return Ok(Arc::new(Decaying { product, first, last, decay }));
        }
        Ok(Arc::new(match self.truncation() {
            Some(truncation) => product.truncated(truncation)?,
            None => product,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> serde_json::Result<StrategyConfig> {
        serde_json::from_str(json)
    }

    #[test]
    fn names_and_defaults() {
        assert_eq!(parse(r#"{"kind": "mixflow"}"#).unwrap(), StrategyConfig::mixflow(0.8));
        assert_eq!(parse(r#"{"kind": "standard"}"#).unwrap(), StrategyConfig::default());
        assert_eq!(parse(r#"{"kind": "beta_fraction"}"#).unwrap(), StrategyConfig::BetaFraction { fraction: 0.2 });
        let json =
            r#"{"kind": "product", "density": {"kind": "logit_normal", "mean": -0.5}, "slowing": {"kind": "none"}}"#;
        let density = Density::LogitNormal { mean: -0.5, std: 1.0 };
        assert_eq!(
            parse(json).unwrap(),
            StrategyConfig::Product { density, slowing: Slowing::None {}, truncate: None }
        );
        assert!(!serde_json::to_string(&parse(json).unwrap()).unwrap().contains("truncate"));
    }

    #[test]
    fn a_measured_range_is_read_checked_and_built() {
        let measured = parse(r#"{"kind": "measured", "gammas": [0, 0.5, 0.25]}"#).unwrap();
        assert_eq!(serde_json::to_string(&measured).unwrap(), r#"{"kind":"measured","gammas":[0.0,0.5,0.25]}"#);
        assert_eq!((measured.gamma(), measured.with_gamma(0.1)), (None, None));
        let strategy = measured.build(None).unwrap();
        let mut rng = crate::timestep::statistics::stream(26);
        for _ in 0..1000 {
            let pair = strategy.sample(&mut rng);
            assert!(pair.slowed <= pair.training && pair.slowed >= 0.5 * pair.training);
        }
        let wrong = parse(r#"{"kind": "measured", "gammas": [2]}"#).unwrap().build(None).unwrap_err().to_string();
        assert!(wrong.contains("strategy.gammas[0] = 2: must be in [0, 1]"), "{wrong}");
    }

    #[test]
    fn another_gamma_leaves_the_rest() {
        let cut = parse(r#"{"kind": "mixflow", "gamma": 0.4, "truncate": [0.1, 1]}"#).unwrap();
        let expected = StrategyConfig::Mixflow { gamma: 0.3, truncate: Some(Truncation([0.1, 1.0])) };
        assert_eq!(cut.with_gamma(0.3), Some(expected));
        assert_eq!(StrategyConfig::Beta {}.with_gamma(0.3), None);
        assert!(parse(r#"{"kind": "mixflow", "gamma": "auto"}"#).is_err());
    }

    #[test]
    fn truncated_mixflow_is_the_product_it_names() {
        let cut = parse(r#"{"kind": "mixflow", "gamma": 0.4, "truncate": [0.001, 1]}"#).unwrap();
        let product = parse(
            r#"{"kind": "product", "density": {"kind": "beta", "a": 2, "b": 1}, "slowing": {"kind": "range", "gamma": 0.4},
                "truncate": [0.001, 1]}"#,
        );
        let (cut, product) = (cut.build(None).unwrap(), product.unwrap().build(None).unwrap());
        for seed in 0..200 {
            let stream = || crate::timestep::statistics::stream(seed);
            assert_eq!(cut.sample(&mut stream()), product.sample(&mut stream()));
        }
    }

    #[test]
    fn truncation_belongs_to_product_and_mixflow() {
        let json = r#"{"kind": "product", "density": {"kind": "uniform"}, "slowing": {"kind": "range", "gamma": 0.4},
            "truncate": [0.001, 1]}"#;
        let config = parse(json).unwrap();
        assert_eq!(config.truncation(), Some(Truncation([0.001, 1.0])));
        assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
        assert!(config.build(None).is_ok());
        assert!(parse(r#"{"kind": "standard", "truncate": [0, 1]}"#).is_err());
        let reversed = parse(&json.replace("[0.001, 1]", "[1, 0.001]")).unwrap();
        let problems = reversed.problems("strategy");
        let expected = "strategy.truncate = [1, 0.001]: must be [low, high] with 0 <= low < high <= 1";
        assert_eq!(problems[0].to_string(), expected);
    }

    #[test]
    fn every_strategy_survives_the_json() {
        for json in [
            "standard",
            "mixflow",
            "beta",
            "decaying",
            "beta_all",
            "beta_below",
            "beta_fraction",
            "uniform_all",
            "uniform_below",
            "uniform_range",
            "uniform_fraction",
        ] {
            let config = parse(&format!(r#"{{"kind": "{json}"}}"#)).unwrap();
            assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
            assert!(config.build(None).is_ok());
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        for json in [
            r#"{"kind": "standard", "gamma": 0.4}"#,
            r#"{"kind": "mixflow", "gama": 0.4}"#,
            r#"{"kind": "mixfow"}"#,
            r#"{"kind": "product", "density": {"kind": "uniform", "a": 1}, "slowing": {"kind": "none"}}"#,
            r#"{"kind": "product", "density": {"kind": "uniform"}, "slowing": {"kind": "none", "gamma": 0}}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn problems_name_the_key_and_the_condition() {
        let text = |c: StrategyConfig| c.problems("strategy").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(StrategyConfig::mixflow(1.1)), ["strategy.gamma = 1.1: must be in [0, 1]"]);
        assert_eq!(text(StrategyConfig::UniformRange { gamma: f64::NAN }), ["strategy.gamma = NaN: must be in [0, 1]"]);
        let product = StrategyConfig::Product {
            density: Density::Beta { a: 0.0, b: 1.0 },
            slowing: Slowing::Fraction { fraction: -0.5 },
            truncate: None,
        };
        let expected =
            ["strategy.density.a = 0: must be finite and > 0", "strategy.slowing.fraction = -0.5: must be in [0, 1]"];
        assert_eq!(text(product), expected);
        assert!(matches!(product.build(None), Err(Error::Config(problems)) if problems.len() == 2));
    }
}
