//! The JSON of an ablation: arms × samplers × budgets × seeds from one pretraining.
mod arm;
mod sampler;

pub use arm::{Arm, ArmConfig, ArmWeights};
pub use sampler::AblationSampler;

use super::file::configuration_file;
use super::{DeviceName, RunConfig, StageConfig, add};
use crate::Problem;
use crate::data::DataConfig;
use crate::models::NetworkConfig;
use crate::path::{PathConfig, PredictionKind};
use crate::sample::CorrectionConfig;
use crate::timestep::StrategyConfig;
use crate::train::LossWeight;
use arm::standard;
use sampler::one_sampler;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A table: every arm is post-trained from the same weights with the same draws, sampled from the same noise by every
/// sampler at every budget, and compared with the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AblationConfig {
    /// Where the JSON schema lies; for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The data set.
    pub data: DataConfig,
    /// The network.
    pub network: NetworkConfig,
    /// `"cpu"`, `"cuda:0"`, `"wgpu:0"`.
    #[serde(default)]
    pub device: DeviceName,
    /// The interpolation path.
    #[serde(default)]
    pub path: PathConfig,
    /// What the network predicts.
    #[serde(default)]
    pub prediction: PredictionKind,
    /// The weight of a noise or score error.
    #[serde(default)]
    pub loss_weight: LossWeight,
    /// Plain flow matching from scratch, cached by a hash of what made it.
    #[serde(default)]
    pub pretrain: StageConfig,
    /// Post-training of every arm, with the standard strategy, no change of the input and no further loss: what the
    /// control does.
    #[serde(default)]
    pub post_train: StageConfig,
    /// What differs between the arms; different names.
    pub arms: Vec<ArmConfig>,
    /// The name of the arm that the others are compared with.
    #[serde(default = "control")]
    pub control: String,
    /// How the arms are sampled; the first is the one that the control's other samplers are compared with.
    #[serde(default = "one_sampler")]
    pub samplers: Vec<AblationSampler>,
    /// Budgets: network evaluations per sample.
    #[serde(default = "budgets")]
    pub evaluations: Vec<usize>,
    /// One repetition of post-training and sampling each.
    #[serde(default = "super::default_seeds")]
    pub seeds: Vec<u64>,
    /// Samples per cell of the table.
    #[serde(default = "samples")]
    pub samples: usize,
    /// Samples generated together.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// The seed of the fixed random convolution features.
    #[serde(default)]
    pub feature_seed: u64,
    /// The data that samples are compared with.
    #[serde(default, skip_serializing_if = "Reference::is_held_out")]
    pub reference: Reference,
    /// Processes that train and sample arms at the same time; 0 for one per core on a CPU and one on a GPU.
    #[serde(default)]
    pub workers: usize,
}

/// The data that samples are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Those that no training sees: what is reported.
    #[default]
    HeldOut,
    /// Every fifth training sample, which post-training then leaves out, while pretraining saw it: a choice by these
    /// touches no held-out data, and is not in favour of what remembers the data it was trained on.
    SetAside,
}

impl Reference {
    fn is_held_out(&self) -> bool {
        *self == Self::HeldOut
    }
}

fn control() -> String {
    "control".into()
}

fn budgets() -> Vec<usize> {
    vec![5, 10, 20, 50]
}

fn samples() -> usize {
    2000
}

fn batch_size() -> usize {
    500
}

configuration_file!(AblationConfig);

impl AblationConfig {
    /// The lines of the table, those with several γ written out.
    pub fn arms(&self) -> Vec<Arm> {
        let of = |arm: &ArmConfig| -> Vec<Arm> {
            let one = |(name, strategy)| Arm {
                name,
                entry: arm.name.clone(),
                weights: arm.weights,
                stage: StageConfig {
                    strategy,
                    input: arm.input,
                    anti_drift: arm.anti_drift,
                    ..self.post_train.clone()
                },
            };
            arm.strategies().into_iter().map(one).collect()
        };
        self.arms.iter().flat_map(of).collect()
    }

    /// Every value that violates a condition or would be ignored.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.shared_problems();
        for (i, arm) in self.arms.iter().enumerate() {
            problems.extend(arm.problems(&format!("arms[{i}]"), self.path));
        }
        let exact = matches!(self.data, DataConfig::Ring(_))
            && self.path == PathConfig::Linear
            && self.prediction == PredictionKind::Velocity;
        if let Some(i) = self.arms.iter().position(|arm| arm.weights == ArmWeights::Exact).filter(|_| !exact) {
            let message = "= \"exact\": known only for the velocity of a ring on the linear path";
            add(&mut problems, format!("arms[{i}].weights"), message);
        }
        let StageConfig { strategy, input, anti_drift, .. } = &self.post_train;
        if *strategy != standard() || input.is_some() || anti_drift.is_some() {
            let message = ": strategy, input and anti_drift belong to the arms; what all arms share is the control's";
            add(&mut problems, "post_train".into(), message);
        }
        let arms = self.arms();
        if !arms.iter().any(|arm| arm.name == self.control) {
            let message = format!("= {:?}: must be the name of an arm", self.control);
            add(&mut problems, "control".into(), message);
        }
        different(&mut problems, "arms", arms.iter().map(|arm| &arm.name));
        different(&mut problems, "samplers", self.samplers.iter().map(|sampler| &sampler.name));
        different(&mut problems, "evaluations", &self.evaluations);
        different(&mut problems, "seeds", &self.seeds);
        let positive = self.evaluations.iter().all(|n| *n > 0);
        let text = format!("{:?}", self.evaluations);
        Problem::unless(&mut problems, positive, "", "evaluations", text, "must be at least 1 each");
        Problem::unless(&mut problems, self.samples >= 2, "", "samples", self.samples, "must be at least 2");
        for (i, sampler) in self.samplers.iter().enumerate() {
            problems.extend(self.sampler_problems(sampler, &format!("samplers[{i}]")));
        }
        problems
    }

    /// The problems of what this has in common with a [`RunConfig`].
    fn shared_problems(&self) -> Vec<Problem> {
        let Self { data, network, device, path, prediction, loss_weight, pretrain, post_train, .. } = self.clone();
        // A run wants a strategy to test; here the arms have it.
        let strategy = StrategyConfig::Beta {};
        let post_train = StageConfig { strategy, input: None, anti_drift: None, ..post_train };
        let run = RunConfig {
            schema: None,
            data,
            network,
            device,
            path,
            prediction,
            loss_weight,
            pretrain,
            post_train,
            seeds: super::default_seeds(),
            evaluate: super::EvaluateConfig { batch_size: self.batch_size, ..Default::default() },
            gamma_search: Default::default(),
        };
        let renamed = |problem: Problem| Problem { path: problem.path.replace("evaluate.", ""), ..problem };
        run.problems().into_iter().map(renamed).collect()
    }

    fn sampler_problems(&self, sampler: &AblationSampler, path: &str) -> Vec<Problem> {
        let full = sampler.with_steps(2, self.batch_size.max(1));
        let mut problems = full.problems(path);
        if full.evaluations().is_none() {
            add(&mut problems, format!("{path}.solver"), ": must have fixed steps, the comparison is at equal cost");
        } else if problems.is_empty()
            && !self.evaluations.iter().any(|n| sampler.with_evaluations(*n, full.batch_size).is_some())
        {
            add(&mut problems, format!("{path}.solver"), ": its steps fit none of the evaluations");
        }
        if sampler.guidance.as_ref().is_some_and(|g| g.is_active()) && !self.network.has_null_condition() {
            add(&mut problems, format!("{path}.guidance"), ": the network has no null condition");
        }
        let differential = sampler.corrections.iter().any(|c| matches!(c, CorrectionConfig::Differential(_)));
        if differential
            && self.data.declared().shape.iter().flat_map(|shape| &shape[1..]).any(|side| !side.is_multiple_of(2))
        {
            let message = ": the differential correction needs an even height and width";
            add(&mut problems, format!("{path}.corrections"), message);
        }
        for name in sampler.arms.iter().flatten() {
            if !self.arms.iter().any(|arm| arm.name == *name) {
                add(&mut problems, format!("{path}.arms"), format!("= {name:?}: must be the name of an entry of arms"));
            }
        }
        problems
    }
}

/// Reports a list that is empty or repeats itself.
fn different<T: Ord>(problems: &mut Vec<Problem>, path: &str, items: impl IntoIterator<Item = T>) {
    let items: Vec<T> = items.into_iter().collect();
    let count = items.len();
    if count == 0 {
        add(problems, path.into(), ": must not be empty");
    } else if items.into_iter().collect::<BTreeSet<T>>().len() < count {
        add(problems, path.into(), ": must not repeat a name or number, it would count twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = r#"{"data": {"kind": "photos"}, "network": {"kind": "residual_mlp"}"#;

    fn parsed(extra: &str) -> crate::Result<AblationConfig> {
        AblationConfig::parse(&format!("{START}{extra}}}"))
    }

    #[test]
    fn a_control_and_a_sweep_are_enough() {
        let arms = r#", "arms": [{"name": "control"}, {"name": "MixFlow", "strategy": {"kind": "mixflow"}, "gammas": [0, 0.5]}]"#;
        let config = parsed(arms).unwrap();
        let names: Vec<_> = config.arms().into_iter().map(|arm| arm.name).collect();
        assert_eq!(names, ["control", "MixFlow γ=0", "MixFlow γ=0.5"]);
        assert_eq!(config.arms()[2].stage.strategy, StrategyConfig::mixflow(0.5));
        assert_eq!(config.evaluations, [5, 10, 20, 50]);
    }

    #[test]
    fn steps_follow_from_the_budget() {
        let sampler = |json: &str| serde_json::from_str::<AblationSampler>(json).unwrap();
        let heun = sampler(r#"{"name": "Heun", "solver": "heun"}"#);
        assert_eq!(heun.with_evaluations(10, 1).map(|c| c.steps), Some(5));
        assert_eq!(heun.with_evaluations(5, 1), None);
        let guided = sampler(r#"{"name": "guided", "guidance": {"scale": 2}}"#);
        assert_eq!(guided.with_evaluations(10, 1).map(|c| c.steps), Some(5));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let error = parsed(
            r#", "seeds": [1, 1], "evaluations": [0, 3], "samples": 1, "batch_size": 0,
            "post_train": {"strategy": {"kind": "beta"}, "steps": 0},
            "arms": [{"name": "a", "gammas": [2]}, {"name": "a", "weights": "exact"},
                {"name": "b", "weights": "pretrained", "strategy": {"kind": "beta"}, "input": {"kind": "perturbation", "gamma": 1},
                    "anti_drift": {}},
                {"name": "e", "strategy": {"kind": "mixflow"}, "gammas": [0, 0.1], "anti_drift": {"weight": 0}}],
            "samplers": [{"name": "s", "solver": "rk4", "arms": ["c"]}, {"name": "d", "solver": "heun",
                "guidance": {"scale": 2}, "corrections": [{"kind": "differential", "low": 0.1}]}]"#,
        )
        .unwrap_err()
        .to_string();
        for expected in [
            "post_train.steps = 0: must be at least 1",
            "batch_size = 0: must be at least 1",
            "arms[0].gammas : the strategy must be",
            "arms[0].gammas = 2: must be in [0, 1]",
            "arms[2].input : would be ignored",
            "arms[2].anti_drift : would be ignored",
            "arms[3].anti_drift.weight = 0: must be finite and greater than 0",
            "arms[3].anti_drift : needs a strategy whose slowed timestep is the training timestep",
            "arms[2].strategy : would be ignored",
            "arms[1].weights = \"exact\": known only",
            "post_train : strategy, input and anti_drift belong to the arms",
            "control = \"control\": must be the name of an arm",
            "seeds : must not repeat",
            "evaluations = [0, 3]: must be at least 1 each",
            "samples = 1: must be at least 2",
            "samplers[0].solver : its steps fit none of the evaluations",
            "samplers[0].arms = \"c\": must be the name of an entry of arms",
            "samplers[1].corrections[0] : the differential correction is one of Euler's step",
            "samplers[1].guidance : the network has no null condition",
        ] {
            assert!(error.contains(expected), "{expected:?} is not in:\n{error}");
        }
    }
}
