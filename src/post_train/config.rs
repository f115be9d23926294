//! One stage of training.
use super::{OptimizerConfig, ScheduleConfig};
use crate::Problem;
use crate::path::PathConfig;
use crate::timestep::{StrategyConfig, TimeShift};
use crate::train::{AntiDriftConfig, EmaConfig, InputConfig, Precision, TargetTime};
use serde::{Deserialize, Serialize};

/// One training stage.
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
    /// A change of what the network is shown; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<InputConfig>,
    /// A further loss that turns velocities towards the data; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_drift: Option<AntiDriftConfig>,
    /// Optimizer steps.
    pub steps: usize,
    /// Samples per step, over all devices and accumulated passes.
    pub batch_size: usize,
    /// Forward and backward passes that make one step; divides `batch_size`.
    pub accumulation: usize,
    /// The type of numbers that training computes in.
    pub precision: Precision,
    /// Steps between checkpoints and validations.
    pub steps_per_epoch: usize,
    /// Probability of dropping the condition.
    pub condition_dropout: f64,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    pub schedule: ScheduleConfig,
    /// The exponential moving average.
    pub ema: EmaConfig,
    /// The seed of the first weights and of the stage's draws. Post-training adds each of `seeds`.
    pub seed: u64,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            strategy: StrategyConfig::Standard {},
            target: TargetTime::Slowed,
            time_shift: None,
            input: None,
            anti_drift: None,
            steps: 1000,
            batch_size: 128,
            accumulation: 1,
            precision: Precision::F32,
            steps_per_epoch: 500,
            condition_dropout: 0.0,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            ema: EmaConfig::default(),
            seed: 0,
        }
    }
}

impl StageConfig {
    /// Network evaluations of the whole stage: three for a sample that is trained on, as a backward pass counts twice.
    pub(crate) fn evaluations(&self) -> usize {
        let input = self.input.map_or(0, |input| input.extra_evaluations());
        let anti_drift = self.anti_drift.map_or(0, |_| AntiDriftConfig::EXTRA_EVALUATIONS);
        self.steps * self.batch_size * (3 + input + anti_drift)
    }

    pub(crate) fn problems(&self, path: &str, on: PathConfig) -> Vec<Problem> {
        let mut problems = self.strategy.problems(&format!("{path}.strategy"));
        if let Some(shift) = &self.time_shift {
            problems.extend(shift.problems(&format!("{path}.time_shift")));
        }
        problems.extend(self.input.iter().flat_map(|input| input.problems(&format!("{path}.input"))));
        let anti_drift = self.anti_drift.map(|a| a.problems(&format!("{path}.anti_drift"), &[self.strategy], on));
        problems.extend(anti_drift.into_iter().flatten());
        for (key, value) in
            [("steps", self.steps), ("batch_size", self.batch_size), ("steps_per_epoch", self.steps_per_epoch)]
        {
            Problem::unless(&mut problems, value > 0, path, key, value, "must be at least 1");
        }
        let (batch, passes) = (self.batch_size, self.accumulation);
        let shared = passes > 0 && batch.is_multiple_of(passes);
        Problem::unless(
            &mut problems,
            shared,
            path,
            "accumulation",
            passes,
            format!("must divide batch_size = {batch}"),
        );
        let (epoch, dropout, decay) = (self.steps_per_epoch, self.condition_dropout, self.ema.decay);
        let divides = epoch == 0 || self.steps.is_multiple_of(epoch);
        let must = format!("must divide steps = {}", self.steps);
        Problem::unless(&mut problems, divides, path, "steps_per_epoch", epoch, must);
        let probability = (0.0..=1.0).contains(&dropout);
        Problem::unless(&mut problems, probability, path, "condition_dropout", dropout, "must be in [0, 1]");
        Problem::unless(&mut problems, (0.0..1.0).contains(&decay), path, "ema.decay", decay, "must be in [0, 1)");
        problems.extend(self.optimizer.problems(&format!("{path}.optimizer")));
        problems.extend(self.schedule.problems(&format!("{path}.schedule"), self.steps));
        problems
    }
}
