//! The section `slow_flow`: how Slow Flow is measured.
use super::Definition;
use crate::Problem;
use crate::post_train::gamma::CANDIDATES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bootstrap resamples at most: more make no interval better.
const MOST_RESAMPLES: usize = 1_000_000;

/// How Slow Flow is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// The definitions of the slowed timestep.
    pub definitions: Vec<Definition>,
    /// Generated states, and ground-truth pairs, compared at each time; in 16..=20000. Memory grows with the square.
    #[schemars(range(min = 16, max = 20000))]
    pub samples: usize,
    /// Times at which states are looked at, at most; at least 2.
    #[schemars(range(min = 2))]
    pub times: usize,
    /// Bootstrap resamples, in 20..=1000000.
    #[schemars(range(min = 20, max = 1_000_000))]
    pub resamples: usize,
    /// Probability that an interval holds the truth, in (0, 1).
    pub confidence: f64,
    /// The seed of noise, ground truth and resamples.
    pub seed: u64,
    /// The mixture ranges γ that a recommendation chooses from, each in [0, 1], with 0.
    pub gammas: Vec<f64>,
    /// Ground-truth samples per time on which it is measured how well an input tells its own noise level; at least 2.
    #[schemars(range(min = 2))]
    pub tolerance_samples: usize,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            definitions: vec![Definition::Distribution],
            samples: 1000,
            times: 8,
            resamples: 200,
            confidence: 0.95,
            seed: 0,
            gammas: CANDIDATES.to_vec(),
            tolerance_samples: 256,
        }
    }
}

impl ProbeConfig {
    /// The same with at most `all` samples.
    pub fn within(&self, all: usize) -> Self {
        let samples = self.samples.min(all);
        Self { samples, tolerance_samples: self.tolerance_samples.min(samples), ..self.clone() }
    }

    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Self { samples, times, resamples, confidence, .. } = *self;
        let mut must = |holds, key: &str, value: String, condition: &str| {
            Problem::unless(&mut problems, holds, path, key, value, condition);
        };
        must(!self.definitions.is_empty(), "definitions", "[]".into(), "must name at least one");
        must((16..=20_000).contains(&samples), "samples", samples.to_string(), "must be in 16..=20000");
        must(times >= 2, "times", times.to_string(), "must be at least 2");
        let inside = (20..=MOST_RESAMPLES).contains(&resamples);
        must(inside, "resamples", resamples.to_string(), &format!("must be in 20..={MOST_RESAMPLES}"));
        must(confidence > 0.0 && confidence < 1.0, "confidence", confidence.to_string(), "must be in (0, 1)");
        let tolerance = self.tolerance_samples;
        must(
            tolerance >= 2 && tolerance <= samples,
            "tolerance_samples",
            tolerance.to_string(),
            "must be in 2..=samples",
        );
        let unit = self.gammas.iter().all(|gamma| (0.0..=1.0).contains(gamma)) && self.gammas.contains(&0.0);
        must(unit, "gammas", format!("{:?}", self.gammas), "must be in [0, 1], 0 among them");
        problems
    }
}
