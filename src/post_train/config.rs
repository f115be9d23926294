//! One stage of training.
use super::{CheckpointConfig, EarlyStopping, OptimizerConfig, ScheduleConfig, misfit};
use crate::adapter::AdapterConfig;
use crate::path::PathConfig;
use crate::recompute::Checkpointing;
use crate::timestep::{StrategyConfig, TimeShift};
use crate::train::{
    AntiDriftConfig, EmaConfig, InputConfig, MagnitudeConfig, NonFinitePolicy, Precision, Sharding, TargetTime,
};
use crate::{Error, Problem, Result, json};
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Steps of a stage, and samples of a step, at most: years of training.
const MOST: usize = 1_000_000_000;

/// One training stage.
///
/// ```
/// use burn_mixflow::post_train::StageConfig;
///
/// let config = StageConfig::parse(r#"{"strategy": {"kind": "mixflow", "gamma": 0.4}, "steps": 1000}"#)?;
/// assert_eq!(config.batch_size, 128);
/// let error = StageConfig::parse(r#"{"optimizer": {"lerning_rate": 1e-4}}"#).unwrap_err();
/// assert!(error.to_string().contains("optimizer.lerning_rate"));
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StageConfig {
    /// The laws of the training and slowed timesteps.
    pub strategy: StrategyConfig,
    /// Where the regression target is taken; it differs only off the linear path.
    pub target: TargetTime,
    /// A shift of the training timestep, after the density and before slowing.
    pub time_shift: Option<TimeShift>,
    /// What is trained beside a frozen network; the whole network if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterConfig>,
    /// A change of what the network is shown; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<InputConfig>,
    /// A further loss that turns velocities towards the data; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_drift: Option<AntiDriftConfig>,
    /// A further loss on the magnitude of the velocity; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magnitude: Option<MagnitudeConfig>,
    /// Optimizer steps.
    pub steps: usize,
    /// Samples per step, over all devices and accumulated passes.
    pub batch_size: usize,
    /// Forward and backward passes that make one step; divides `batch_size`.
    pub accumulation: usize,
    /// The type of numbers that training computes in.
    pub precision: Precision,
    /// Whether a block's activations are kept for the backward pass, or made anew in it.
    #[serde(skip_serializing_if = "is_default")]
    pub checkpointing: Checkpointing,
    /// What several devices share of the training.
    #[serde(skip_serializing_if = "is_default")]
    pub sharding: Sharding,
    /// Steps between validations, at each of which there is a checkpoint.
    pub steps_per_epoch: usize,
    /// Further checkpoints, and which of them stay.
    #[serde(skip_serializing_if = "is_default")]
    pub checkpoints: CheckpointConfig,
    /// An end before the last step if the validation loss improves no more; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// What happens when a gradient is not finite.
    #[serde(skip_serializing_if = "is_default")]
    pub on_non_finite: NonFinitePolicy,
    /// Probability of dropping the condition.
    pub condition_dropout: f64,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    pub schedule: ScheduleConfig,
    /// The exponential moving average.
    pub ema: EmaConfig,
    /// The seed of the first weights and of the stage's draws. Each of `compare.seeds` gives draws of its own.
    pub seed: u64,
}

/// What has its default is left out, so that files of before there was such a key are the same training.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            strategy: StrategyConfig::Standard {},
            target: TargetTime::Slowed,
            time_shift: None,
            adapter: None,
            input: None,
            anti_drift: None,
            magnitude: None,
            steps: 1000,
            batch_size: 128,
            accumulation: 1,
            precision: Precision::F32,
            checkpointing: Checkpointing::None,
            sharding: Sharding::None,
            steps_per_epoch: 500,
            checkpoints: CheckpointConfig::default(),
            early_stopping: None,
            on_non_finite: NonFinitePolicy::default(),
            condition_dropout: 0.0,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            ema: EmaConfig::default(),
            seed: 0,
        }
    }
}

impl StageConfig {
    /// Keys that say how a training is kept or computed, not what comes out.
    pub(crate) const WITHOUT_EFFECT: [&str; 5] =
        ["checkpoints", "checkpointing", "early_stopping", "on_non_finite", "sharding"];

    /// Network evaluations of the whole stage: three for a sample that is trained on, as a backward pass counts twice.
    #[cfg(feature = "experiment")]
    pub(crate) fn evaluations(&self) -> usize {
        let input = self.input.map_or(0, |input| input.extra_evaluations());
        let anti_drift = self.anti_drift.map_or(0, |_| AntiDriftConfig::EXTRA_EVALUATIONS);
        self.steps.saturating_mul(self.batch_size).saturating_mul(3 + input + anti_drift)
    }

    /// The same training, whatever it keeps on its way.
    #[cfg(feature = "experiment")]
    pub(crate) fn without_keeping(&self) -> Self {
        let (checkpoints, on_non_finite) = (CheckpointConfig::default(), NonFinitePolicy::default());
        let (checkpointing, sharding) = (Checkpointing::None, Sharding::None);
        Self { checkpoints, on_non_finite, checkpointing, sharding, ..self.clone() }
    }

    /// The stage of a JSON file. Values out of range are found later, by [`problems`](Self::problems) or
    /// [`Stage::run`](super::Stage::run).
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not JSON, and [`Error::ConfigFile`] with the path
    /// of a misspelt or mistyped key.
    pub fn read(file: impl AsRef<Path>) -> Result<Self> {
        let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
        let json = json::parse(&bytes).map_err(|message| Error::format(&file, message))?;
        misfit::read(&json, "the stage").map_err(|error| match error {
            Error::Config(problems) => Error::ConfigFile { path: file.as_ref().to_path_buf(), problems },
            other => other,
        })
    }

    /// The stage of a JSON text. What the text leaves out has its default.
    ///
    /// # Errors
    /// [`Error::Config`] with the path of a misspelt or mistyped key.
    pub fn parse(text: &str) -> Result<Self> {
        let json = json::parse(text.as_bytes())
            .map_err(|message| Error::Config(vec![Problem { path: "the stage".into(), message }]))?;
        misfit::read(&json, "the stage")
    }

    /// A device that does not compute in the type of numbers of the stage, whose key is at `path`.
    pub(crate) fn misfit_of_devices(&self, path: &str, devices: &[Device]) -> Option<Problem> {
        let lacks = |device: &&Device| self.precision == Precision::Bf16 && !device.supports_dtype(DType::BF16);
        let device = devices.iter().find(lacks)?;
        let message = format!("= \"bf16\": {device:?} does not compute in it; take \"f32\"");
        Some(Problem { path: path.into(), message })
    }

    /// Everything wrong with this stage on the path `on`, with keys below `path`, which may be empty.
    pub fn problems(&self, path: &str, on: PathConfig) -> Vec<Problem> {
        self.problems_on(path, on == PathConfig::Linear)
    }

    /// The same for a path of which only this is known.
    pub(super) fn problems_on(&self, path: &str, linear: bool) -> Vec<Problem> {
        let under = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let mut problems = self.strategy.problems(&under("strategy"));
        problems.extend(self.time_shift.iter().flat_map(|shift| shift.problems(&under("time_shift"))));
        let adapter = self.adapter.iter().flat_map(|adapter| adapter.problems(&under("adapter"), self.precision));
        problems.extend(adapter);
        problems.extend(self.input.iter().flat_map(|input| input.problems(&under("input"))));
        let anti_drift = self.anti_drift.map(|a| a.problems_on(&under("anti_drift"), &[self.strategy], linear));
        problems.extend(anti_drift.into_iter().flatten());
        problems.extend(self.magnitude.iter().flat_map(|m| m.problems_on(&under("magnitude"), linear)));
        let mut must = |holds: bool, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut problems, holds, path, key, value, condition);
        };
        let (steps, batch, passes, epoch) = (self.steps, self.batch_size, self.accumulation, self.steps_per_epoch);
        for (key, value) in [("steps", steps), ("batch_size", batch), ("steps_per_epoch", epoch)] {
            must(value > 0, key, &value, "must be at least 1");
            must(value <= MOST, key, &value, &format!("must be at most {MOST}"));
        }
        let shared = passes > 0 && batch.is_multiple_of(passes);
        must(shared, "accumulation", &passes, &format!("must divide batch_size = {batch}"));
        let divides = epoch == 0 || steps.is_multiple_of(epoch);
        must(divides, "steps_per_epoch", &epoch, &format!("must divide steps = {steps}"));
        let dropout = self.condition_dropout;
        must((0.0..=1.0).contains(&dropout), "condition_dropout", &dropout, "must be in [0, 1]");
        let alone = self.checkpointing == Checkpointing::None || self.anti_drift.is_none();
        let condition = "must be \"none\" beside `anti_drift`, whose second pass goes through the graph of the first";
        must(alone, "checkpointing", &"\"blocks\"", condition);
        problems.extend(self.ema.problems(&under("ema")));
        problems.extend(self.optimizer.problems(&under("optimizer")));
        problems.extend(self.schedule.problems(&under("schedule"), self.steps));
        problems.extend(self.checkpoints.problems(&under("checkpoints")));
        problems.extend(self.early_stopping.iter().flat_map(|early| early.problems(&under("early_stopping"))));
        problems.extend(self.on_non_finite.problems(&under("on_non_finite")));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let config = StageConfig::parse(json).unwrap();
        config.problems("", PathConfig::Linear).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_problem_has_its_key() {
        let json = r#"{"steps": 20, "steps_per_epoch": 7, "batch_size": 10, "accumulation": 3, "condition_dropout": -1,
            "optimizer": {"learning_rate": -5}, "ema": {"decay": 1.5}, "schedule": {"warm_up": 21}}"#;
        let expected = [
            "accumulation = 3: must divide batch_size = 10",
            "steps_per_epoch = 7: must divide steps = 20",
            "condition_dropout = -1: must be in [0, 1]",
            "ema.decay = 1.5: must be in [0, 1)",
            "optimizer.learning_rate = -5: must be in (0, 1]",
            "schedule.warm_up = 21: must be at most the 20 steps of the stage",
        ];
        assert_eq!(problems(json), expected);
        assert_eq!(problems(r#"{"steps_per_epoch": 0}"#), ["steps_per_epoch = 0: must be at least 1"]);
        assert_eq!(problems("{}"), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_path() {
        let error = |json: &str| StageConfig::parse(json).unwrap_err().to_string();
        assert!(error(r#"{"strategy": {"kind": "mixflow", "gama": 1}}"#).contains("strategy : unknown field `gama`"));
        assert!(error(r#"{"steps": "many"}"#).contains("steps : invalid type"));
        assert!(error("{} {}").contains("trailing characters"));
        assert!(StageConfig::read("no/such.json").unwrap_err().to_string().starts_with("no/such.json: "));
    }
}
