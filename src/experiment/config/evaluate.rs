//! How the arms of a run are sampled and compared.
use super::add;
use crate::Problem;
use crate::sample::{GuidanceConfig, MOST_STEPS, SamplerConfig, SolverConfig};
use serde::{Deserialize, Serialize};

/// Sampling and comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// The solver, one with fixed steps.
    pub solver: SolverConfig,
    /// Step counts to compare at.
    pub steps: Vec<usize>,
    /// Samples per arm, seed and step count.
    pub samples: usize,
    /// Samples generated together.
    pub batch_size: usize,
    /// Classifier-free guidance.
    pub guidance: Option<GuidanceConfig>,
    /// The seed of the fixed random convolution features.
    pub feature_seed: u64,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            solver: SolverConfig::Euler,
            steps: vec![5, 10, 20, 50],
            samples: 2000,
            batch_size: 500,
            guidance: None,
            feature_seed: 0,
        }
    }
}

impl EvaluateConfig {
    /// The sampler with `steps` steps.
    pub fn sampler(&self, steps: usize) -> SamplerConfig {
        let guidance = self.guidance.clone();
        SamplerConfig { guidance, ..SamplerConfig::new(self.solver, steps, self.batch_size) }
    }

    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let some = !self.steps.is_empty() && self.steps.iter().all(|steps| (1..=MOST_STEPS).contains(steps));
        let steps = format!("{:?}", self.steps);
        let must = format!("must name step counts in 1..={MOST_STEPS}");
        Problem::unless(&mut problems, some, path, "steps", steps, must);
        let distinct: std::collections::BTreeSet<_> = self.steps.iter().collect();
        if distinct.len() < self.steps.len() {
            add(&mut problems, format!("{path}.steps"), ": must not repeat a step count, it would count twice");
        }
        Problem::unless(&mut problems, self.samples >= 2, path, "samples", self.samples, "must be at least 2");
        let fewest = self.steps.iter().copied().filter(|steps| *steps > 0).min().unwrap_or(2);
        let sampler = self.sampler(fewest);
        problems.extend(sampler.problems(path));
        if sampler.evaluations().is_none() {
            add(&mut problems, format!("{path}.solver"), ": must have fixed steps, the comparison is at equal cost");
        }
        problems
    }
}
