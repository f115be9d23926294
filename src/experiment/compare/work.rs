//! What a table takes, in network evaluations.
use super::cell::{Planned, SHOWN};
use crate::experiment::config::{Arm, ArmWeights, ExperimentConfig};

/// Network evaluations, a training step counting as three per sample, more with a rollout or anti-drift.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::experiment) struct Work {
    /// Of training.
    pub training: f64,
    /// Of sampling.
    pub sampling: f64,
}

impl Work {
    /// Both together.
    pub fn all(self) -> f64 {
        self.training + self.sampling
    }

    fn plus(self, other: Self) -> Self {
        Self { training: self.training + other.training, sampling: self.sampling + other.sampling }
    }

    /// The same, `count` times.
    pub fn times(self, count: f64) -> Self {
        Self { training: self.training * count, sampling: self.sampling * count }
    }

    /// One arm at one seed.
    pub fn of_arm(config: &ExperimentConfig, arm: &Arm) -> Self {
        let training = if arm.weights == ArmWeights::PostTrained { arm.stage.evaluations() as f64 } else { 0.0 };
        let sampling = plan(config, arm).iter().map(|planned| sampling(config, planned)).sum();
        Self { training, sampling }
    }

    /// A table of which nothing is there yet.
    pub fn of_table(config: &ExperimentConfig) -> Self {
        let arms = config.arms();
        let once = arms.iter().map(|arm| Self::of_arm(config, arm)).fold(Self::default(), Self::plus);
        once.times(config.compare.seeds.len() as f64)
    }
}

/// The cells of an arm that the samplers' steps can make.
pub(super) fn plan(config: &ExperimentConfig, arm: &Arm) -> Vec<Planned> {
    let compare = &config.compare;
    let mut planned = Vec::new();
    for sampler in config.samplers().into_iter().filter(|sampler| sampler.samples(&arm.entry)) {
        for &evaluations in sampler.budgets(&compare.evaluations) {
            if let Some(config) = sampler.with_evaluations(evaluations, compare.batch_size) {
                planned.push(Planned { sampler: sampler.clone(), evaluations, config });
            }
        }
    }
    planned
}

/// Network evaluations of one cell.
pub(super) fn sampling(config: &ExperimentConfig, planned: &Planned) -> f64 {
    let samples = config.compare.samples;
    let count = if planned.sampler.only_pictures { SHOWN.min(samples) } else { samples };
    (planned.evaluations * count) as f64
}
