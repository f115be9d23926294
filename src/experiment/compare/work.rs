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

    /// Both.
    pub fn plus(self, other: Self) -> Self {
        Self { training: self.training + other.training, sampling: self.sampling + other.sampling }
    }

    /// One arm at one seed.
    pub fn of_arm(config: &ExperimentConfig, arm: &Arm, seed: u64, held_out: usize) -> Self {
        let training = if arm.weights == ArmWeights::PostTrained { arm.stage.evaluations() as f64 } else { 0.0 };
        let sampling = plan(config, arm, seed).iter().map(|planned| sampling(config, planned, held_out)).sum();
        Self { training, sampling }
    }

    /// A table of which nothing is there yet, compared with `held_out` items.
    pub fn of_table(config: &ExperimentConfig, held_out: usize) -> Self {
        let arms = config.arms();
        let of = |seed: &u64| arms.iter().map(|arm| Self::of_arm(config, arm, *seed, held_out)).collect::<Vec<_>>();
        config.compare.seeds.iter().flat_map(of).fold(Self::default(), Self::plus)
    }
}

/// The cells of an arm at a seed that the samplers' steps can make. Pictures alone are shown of the first seed.
pub(super) fn plan(config: &ExperimentConfig, arm: &Arm, seed: u64) -> Vec<Planned> {
    let compare = &config.compare;
    let shown = |only_pictures: bool| !only_pictures || compare.seeds.first() == Some(&seed);
    let mut planned = Vec::new();
    for sampler in config.samplers().into_iter().filter(|sampler| sampler.samples(&arm.entry)) {
        if !shown(sampler.only_pictures) {
            continue;
        }
        for &evaluations in sampler.budgets(&compare.evaluations) {
            if let Some(config) = sampler.with_evaluations(evaluations, compare.batch_size) {
                planned.push(Planned { sampler: sampler.clone(), evaluations, config });
            }
        }
    }
    planned
}

/// Network evaluations of one cell.
pub(super) fn sampling(config: &ExperimentConfig, planned: &Planned, held_out: usize) -> f64 {
    let samples = config.cell_samples(held_out);
    let count = if planned.sampler.only_pictures { SHOWN.min(samples) } else { samples };
    planned.evaluations as f64 * count as f64
}
