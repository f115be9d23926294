//! The arms: what differs between the lines of the table.
use crate::Problem;
use crate::experiment::config::add;
use crate::path::PathConfig;
use crate::post_train::StageConfig;
use crate::timestep::StrategyConfig;
use crate::train::{AntiDriftConfig, InputConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One arm, or one for each of several γ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmConfig {
    /// Its name in the table; `γ=…` is added for each of `gammas`.
    pub name: String,
    /// Which weights are sampled.
    #[serde(default)]
    pub weights: ArmWeights,
    /// The laws of the training and slowed timesteps.
    #[serde(default = "standard")]
    pub strategy: StrategyConfig,
    /// One arm for each of these γ; the strategy must have a `gamma`, which they replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gammas: Vec<f64>,
    /// A change of what the network is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputConfig>,
    /// A further loss that turns velocities towards the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_drift: Option<AntiDriftConfig>,
}

/// What an arm samples with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArmWeights {
    /// The pretrained weights, post-trained.
    #[default]
    PostTrained,
    /// The pretrained weights as they are.
    Pretrained,
    /// None: the exact field that post-training with this strategy aims at; of a ring, on the linear path.
    Exact,
}

pub(super) fn standard() -> StrategyConfig {
    StrategyConfig::Standard {}
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

impl ArmConfig {
    /// The strategy for each of `gammas`, or the one strategy.
    pub(super) fn strategies(&self) -> Vec<(String, StrategyConfig)> {
        if self.gammas.is_empty() {
            return vec![(self.name.clone(), self.strategy)];
        }
        let with = |gamma: f64| match self.strategy {
            StrategyConfig::UniformRange { .. } => StrategyConfig::UniformRange { gamma },
            _ => StrategyConfig::mixflow(gamma),
        };
        self.gammas.iter().map(|gamma| (format!("{} γ={gamma}", self.name), with(*gamma))).collect()
    }

    pub(super) fn problems(&self, path: &str, on: PathConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        let has_gamma = matches!(self.strategy, StrategyConfig::Mixflow { .. } | StrategyConfig::UniformRange { .. });
        if self.gammas.is_empty() {
            problems.extend(self.strategy.problems(&format!("{path}.strategy")));
        } else if !has_gamma {
            add(&mut problems, format!("{path}.gammas"), ": the strategy must be \"mixflow\" or \"uniform_range\"");
        }
        for gamma in &self.gammas {
            Problem::unless(&mut problems, (0.0..=1.0).contains(gamma), path, "gammas", gamma, "must be in [0, 1]");
        }
        problems.extend(self.input.iter().flat_map(|input| input.problems(&format!("{path}.input"))));
        let strategies: Vec<_> = self.strategies().into_iter().map(|(_, strategy)| strategy).collect();
        let anti_drift = self.anti_drift.map(|a| a.problems(&format!("{path}.anti_drift"), &strategies, on));
        problems.extend(anti_drift.into_iter().flatten());
        let ignored = ": would be ignored, these weights are not trained";
        for (key, given) in [("input", self.input.is_some()), ("anti_drift", self.anti_drift.is_some())] {
            if given && self.weights != ArmWeights::PostTrained {
                add(&mut problems, format!("{path}.{key}"), ignored);
            }
        }
        match self.weights {
            ArmWeights::Pretrained if self.strategy != standard() => {
                add(&mut problems, format!("{path}.strategy"), ignored);
            }
            ArmWeights::Exact if !has_gamma && self.strategy != standard() => {
                let message = ": an exact field has the strategy \"standard\", \"mixflow\" or \"uniform_range\"";
                add(&mut problems, format!("{path}.strategy"), message);
            }
            _ => {}
        }
        problems
    }
}
