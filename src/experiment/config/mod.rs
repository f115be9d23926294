//! The JSON a user writes: parsed strictly, checked whole, before anything is allocated.
//!
//! ```
//! use burn_mixflow::experiment::config::RunConfig;
//! let error = RunConfig::parse(r#"{
//!     "data": {"kind": "photos"},
//!     "network": {"kind": "residual_mlp", "channels": 1, "size": 16},
//!     "post_train": {"strategy": {"kind": "mixflow", "gamma": 1.1}}
//! }"#).unwrap_err();
//! assert!(error.to_string().contains("post_train.strategy.gamma = 1.1: must be in [0, 1]"));
//! ```
mod ablation;
mod evaluate;
pub(crate) mod file;
mod gamma_search;
mod system;

pub use ablation::{AblationConfig, AblationSampler, Arm, ArmConfig, ArmWeights, Reference};
pub use evaluate::EvaluateConfig;
pub use gamma_search::GammaSearchConfig;
pub(crate) use system::ENERGY_DISTANCE;
pub use system::{DecoderConfig, GenerateConfig, LabelSampling, SystemConfig, WeakConfig, WeightsConfig};

use crate::Problem;
use crate::data::{DataConfig, Declared};
use crate::models::NetworkConfig;
use crate::path::{PathConfig, PredictionKind};
use crate::post_train::{DeviceName, StageConfig};
use crate::timestep::StrategyConfig;
use crate::train::{LossWeight, TargetTime};
use file::configuration_file;
use serde::{Deserialize, Serialize};

/// A whole post-training experiment: pretrain once, post-train a control and MixFlow, compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
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
    /// Post-training from the pretrained EMA. The control is the same stage with the standard strategy.
    #[serde(default)]
    pub post_train: StageConfig,
    /// Seeds of post-training and sampling; one repetition each.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// How the arms are sampled and compared.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// How γ is chosen where `post_train.strategy` says `"gamma": "auto"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gamma_search: GammaSearchConfig,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_seeds() -> Vec<u64> {
    vec![0, 1, 2]
}

configuration_file!(RunConfig);

impl RunConfig {
    /// Every value that violates a condition or would be ignored.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.data.problems("data");
        problems.extend(self.device.problems("device"));
        if let Declared { shape: Some(shape), classes: Some(classes), .. } = self.data.declared() {
            problems.extend(self.network.problems("network", shape, classes));
        }
        if self.network.reads_text() {
            add(
                &mut problems,
                "network.kind".into(),
                " = \"mmdit\": needs text embeddings, which these data do not have",
            );
        }
        problems.extend(self.gamma_search.problems("gamma_search", &self.post_train));
        let apart =
            !self.post_train.strategy.is_auto() || !self.gamma_search.seeds.iter().any(|s| self.seeds.contains(s));
        let seeds = format!("{:?}", self.gamma_search.seeds);
        Problem::unless(
            &mut problems,
            apart,
            "gamma_search",
            "seeds",
            seeds,
            "must be others than those of the results",
        );
        // Any γ that a search may choose is a valid one.
        let post_train = StageConfig { strategy: self.post_train.strategy.with_auto(1.0), ..self.post_train.clone() };
        for (name, stage) in [("pretrain", &self.pretrain), ("post_train", &post_train)] {
            problems.extend(stage.problems(name, self.path));
            let (batch, images) = (stage.batch_size, self.data.declared().training.unwrap_or(usize::MAX));
            let most = format!("must be at most the {images} training images");
            Problem::unless(&mut problems, batch <= images, name, "batch_size", batch, most);
            if self.path == PathConfig::Linear
                && self.prediction == PredictionKind::Velocity
                && stage.target != TargetTime::Slowed
            {
                add(
                    &mut problems,
                    format!("{name}.target"),
                    "would be ignored: on the linear path both velocity targets are the same",
                );
            }
            if stage.condition_dropout > 0.0 && !self.network.has_null_condition() {
                let message = format!("= {}: the network has no null condition", stage.condition_dropout);
                add(&mut problems, format!("{name}.condition_dropout"), message);
            }
        }
        if self.pretrain.strategy != (StrategyConfig::Standard {}) {
            add(
                &mut problems,
                "pretrain.strategy".into(),
                ": must be {\"kind\": \"standard\"}; the strategy under test belongs to post_train",
            );
        }
        if self.post_train.strategy == (StrategyConfig::Standard {}) {
            add(
                &mut problems,
                "post_train.strategy".into(),
                ": must name a strategy other than \"standard\", which the control has already",
            );
        }
        if self.loss_weight != LossWeight::Uniform
            && !matches!(self.prediction, PredictionKind::Noise | PredictionKind::Score)
        {
            add(
                &mut problems,
                "loss_weight".into(),
                ": must be \"uniform\" unless prediction is \"noise\" or \"score\"",
            );
        }
        if self.seeds.is_empty() {
            add(&mut problems, "seeds".into(), ": must name at least one seed");
        }
        let distinct: std::collections::BTreeSet<_> = self.seeds.iter().collect();
        if distinct.len() < self.seeds.len() {
            add(&mut problems, "seeds".into(), ": must not repeat a seed, it would count twice");
        }
        problems.extend(self.evaluate.problems("evaluate"));
        if self.evaluate.guidance.as_ref().is_some_and(|g| g.is_active()) && !self.network.has_null_condition() {
            add(&mut problems, "evaluate.guidance".into(), ": the network has no null condition");
        }
        problems
    }
}

impl RunConfig {
    /// The same with `gamma` where the post-training says `"auto"`.
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.post_train.strategy = self.post_train.strategy.with_auto(gamma);
        self.gamma_search = GammaSearchConfig::default();
        self
    }
}

fn add(problems: &mut Vec<Problem>, path: String, message: impl Into<String>) {
    problems.push(Problem { path, message: message.into() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(extra: &str) -> String {
        let text = format!(
            r#"{{"data": {{"kind": "photos"}}, "network": {{"kind": "residual_mlp", "channels": 1, "size": 16, "num_classes": 0}}{extra}}}"#
        );
        RunConfig::parse(&text).map_or_else(|e| e.to_string(), |_| String::new())
    }

    #[test]
    fn a_small_configuration_is_enough() {
        assert_eq!(problems(r#", "post_train": {"strategy": {"kind": "mixflow"}}"#), "");
        assert!(problems("").contains("post_train.strategy : must name a strategy other than \"standard\""));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        assert!(problems(r#", "post_train": {"stpes": 3}"#).contains("unknown field `stpes`"));
        assert!(problems(r#", "post_train": {"strategy": {"kind": "mixflow", "gama": 1}}"#).contains("gama"));
        assert!(problems(r#", "post_train": {"strategy": {"kind": "standard", "gamma": 1}}"#).contains("gamma"));
    }

    #[test]
    fn a_gamma_to_be_chosen_belongs_to_post_training() {
        let auto = r#"{"strategy": {"kind": "mixflow", "gamma": "auto"}}"#;
        assert_eq!(problems(&format!(r#", "post_train": {auto}, "gamma_search": {{"steps": [10]}}"#)), "");
        assert!(problems(&format!(r#", "pretrain": {auto}"#)).contains("pretrain.strategy.gamma = \"auto\""));
        let fixed = r#", "post_train": {"strategy": {"kind": "mixflow"}}, "gamma_search": {"steps": [10]}"#;
        assert!(problems(fixed).contains("gamma_search : would be ignored"));
    }

    #[test]
    fn a_wrong_type_names_its_path() {
        assert!(problems(r#", "post_train": {"steps": "many"}"#).contains("post_train.steps"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = problems(
            r#", "device": "tpu", "seeds": [1, 1], "loss_weight": "likelihood", "post_train": {
                "strategy": {"kind": "mixflow", "gamma": 1.1}, "target": "training", "steps": 10, "steps_per_epoch": 3,
                "condition_dropout": 0.1, "anti_drift": {}, "ema": {"decay": 1.0}, "optimizer": {"learning_rate": 0},
                "schedule": {"final_fraction": 0.5}}, "evaluate": {"steps": [], "guidance": {"scale": 2.0}}"#,
        );
        for expected in [
            "post_train.strategy.gamma = 1.1: must be in [0, 1]",
            "device = \"tpu\"",
            "seeds : must not repeat",
            "loss_weight : must be \"uniform\"",
            "post_train.target would be ignored",
            "post_train.steps_per_epoch = 3: must divide steps = 10",
            "post_train.condition_dropout = 0.1: the network has no null condition",
            "post_train.anti_drift : needs a strategy whose slowed timestep is the training timestep",
            "post_train.ema.decay = 1: must be in [0, 1)",
            "post_train.optimizer.learning_rate = 0: must be in (0, 1]",
            "post_train.schedule.final_fraction = 0.5: would be ignored",
            "evaluate.steps = []",
            "evaluate.guidance : the network has no null condition",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
        }
    }
}
