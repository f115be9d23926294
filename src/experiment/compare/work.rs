//! What a table takes, in network evaluations.
use super::cell::{Planned, SHOWN};
use crate::experiment::config::{Arm, ArmWeights, ExperimentConfig};

/// Network evaluations, and pictures of them; a training step counts as three
/// evaluations per sample, more with a rollout or anti-drift.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::experiment) struct Work {
    /// Of training.
    pub training: f64,
    /// Of sampling.
    pub sampling: f64,
    /// Samples that become pictures and features for a gFID; no evaluations.
    pub pictures: f64,
}

impl Work {
    /// Training and sampling together.
    pub fn all(self) -> f64 {
        self.training + self.sampling
    }

    /// Both works.
    pub fn plus(self, other: Self) -> Self {
        Self {
            training: self.training + other.training,
            sampling: self.sampling + other.sampling,
            pictures: self.pictures + other.pictures,
        }
    }

    /// One arm at one seed.
    pub fn of_arm(config: &ExperimentConfig, arm: &Arm, seed: u64, held_out: usize) -> Self {
        let training = if arm.weights == ArmWeights::PostTrained { arm.stage.evaluations() as f64 } else { 0.0 };
        let cells = plan(config, arm, seed);
        cells.iter().map(|planned| Self::of_cell(config, planned, held_out)).fold(Self::trained(training), Self::plus)
    }

    /// Training alone.
    pub fn trained(training: f64) -> Self {
        Self { training, ..Self::default() }
    }

    /// Sampling alone.
    pub fn sampled(sampling: f64) -> Self {
        Self { sampling, ..Self::default() }
    }

    /// One cell.
    pub(super) fn of_cell(config: &ExperimentConfig, planned: &Planned, held_out: usize) -> Self {
        let (samples, only_pictures) = (config.cell_samples(held_out), planned.sampler.only_pictures);
        let count = if only_pictures { SHOWN.min(samples) } else { samples } as f64;
        let pictures = if config.compare.gfid.is_some() && !only_pictures { count } else { 0.0 };
        Self { sampling: planned.evaluations as f64 * count, pictures, training: 0.0 }
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
