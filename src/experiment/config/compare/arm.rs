//! The arms: what differs between the lines of the table.
use super::super::add;
use crate::Problem;
use crate::adapter::AdapterConfig;
use crate::path::PathConfig;
use crate::post_train::StageConfig;
use crate::timestep::StrategyConfig;
use crate::train::{AntiDriftConfig, InputConfig, MagnitudeConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// One arm, or one for each of several γ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmConfig {
    /// Its name in the table; `γ=…` is added for each of `gammas`.
    pub name: String,
    /// Which weights are sampled: those of post-training, or the exact field where `start` is exact, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<ArmWeights>,
    /// The laws of the training and slowed timesteps; standard if left out.
    #[serde(default)]
    pub strategy: StrategyConfig,
    /// One arm for each of these γ; the strategy must have a `gamma`, which they replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gammas: Vec<f64>,
    /// What is trained beside a frozen network; that of `post_train` if left out, and nothing if null: the whole network is
    /// trained.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Option<AdapterConfig>>,
    /// The peak learning rate; that of `post_train` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// A change of what the network is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputConfig>,
    /// A further loss that turns velocities towards the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_drift: Option<AntiDriftConfig>,
    /// A further loss on the magnitude of the velocity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magnitude: Option<MagnitudeConfig>,
}

/// What is there, null too.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What an arm samples with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArmWeights {
    /// The weights of `start`, post-trained.
    #[default]
    PostTrained,
    /// The weights of `start` as they are.
    Start,
    /// None: the exact field that post-training with this strategy aims at; of a ring, on the linear path.
    Exact,
}

/// One line of the table: an entry of `arms` with its γ.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// The name in the table.
    pub name: String,
    /// The name of the entry it comes from.
    pub entry: String,
    /// Which weights are sampled.
    pub weights: ArmWeights,
    /// Its whole stage of post-training.
    pub stage: StageConfig,
}

impl StageConfig {
    /// What of a training an exact field knows nothing of.
    pub(super) fn misfits_of_exact(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.strategy.gamma().is_none() && self.strategy != StrategyConfig::standard() {
            add(&mut problems, format!("{path}.strategy"), EXACT);
        }
        for (key, given) in [
            ("adapter", self.adapter.is_some()),
            ("input", self.input.is_some()),
            ("anti_drift", self.anti_drift.is_some()),
            ("magnitude", self.magnitude.is_some()),
        ] {
            if given {
                add(&mut problems, format!("{path}.{key}"), ": would be ignored, as an exact field is not trained");
            }
        }
        problems
    }
}

/// The strategies of which an exact field is known.
const EXACT: &str = ": an exact field has the strategy \"standard\", \"mixflow\" or \"uniform_range\"";

impl ArmConfig {
    /// The weights it samples with, `exact` where nothing is trained.
    pub(super) fn weights(&self, exact: bool) -> ArmWeights {
        self.weights.unwrap_or(if exact { ArmWeights::Exact } else { ArmWeights::PostTrained })
    }

    /// The strategy for each of `gammas`, or the one strategy.
    pub(super) fn strategies(&self) -> Vec<(String, StrategyConfig)> {
        if self.gammas.is_empty() {
            return vec![(self.name.clone(), self.strategy)];
        }
        let with = |gamma: f64| self.strategy.with_gamma(gamma).unwrap_or(self.strategy);
        self.gammas.iter().map(|gamma| (format!("{} γ={gamma}", self.name), with(*gamma))).collect()
    }

    pub(super) fn problems(&self, path: &str, on: PathConfig, exact: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let has_gamma = self.strategy.gamma().is_some();
        if self.gammas.is_empty() {
            problems.extend(self.strategy.problems(&format!("{path}.strategy")));
        } else if !has_gamma {
            add(&mut problems, format!("{path}.gammas"), ": the strategy must be \"mixflow\" or \"uniform_range\"");
        }
        for gamma in &self.gammas {
            Problem::unless(&mut problems, (0.0..=1.0).contains(gamma), path, "gammas", gamma, "must be in [0, 1]");
        }
        problems.extend(self.input.iter().flat_map(|input| input.problems(&format!("{path}.input"))));
        if let Some(rate) = self.learning_rate {
            Problem::unless(&mut problems, rate > 0.0 && rate <= 1.0, path, "learning_rate", rate, "must be in (0, 1]");
        }
        let strategies: Vec<_> = self.strategies().into_iter().map(|(_, strategy)| strategy).collect();
        let anti_drift = self.anti_drift.map(|a| a.problems(&format!("{path}.anti_drift"), &strategies, on));
        problems.extend(anti_drift.into_iter().flatten());
        problems.extend(self.magnitude.iter().flat_map(|m| m.problems(&format!("{path}.magnitude"), on)));
        let (weights, ignored) = (self.weights(exact), ": would be ignored, these weights are not trained");
        for (key, given) in [
            ("adapter", self.adapter.is_some()),
            ("learning_rate", self.learning_rate.is_some()),
            ("input", self.input.is_some()),
            ("anti_drift", self.anti_drift.is_some()),
            ("magnitude", self.magnitude.is_some()),
        ] {
            if given && weights != ArmWeights::PostTrained {
                add(&mut problems, format!("{path}.{key}"), ignored);
            }
        }
        let standard = self.strategy == StrategyConfig::standard();
        match weights {
            ArmWeights::Start if !standard => add(&mut problems, format!("{path}.strategy"), ignored),
            ArmWeights::Exact if !has_gamma && !standard => {
                add(&mut problems, format!("{path}.strategy"), EXACT);
            }
            ArmWeights::PostTrained | ArmWeights::Start if exact => {
                add(&mut problems, format!("{path}.weights"), ": must be \"exact\", as `start` has no weights");
            }
            _ => {}
        }
        problems
    }
}
