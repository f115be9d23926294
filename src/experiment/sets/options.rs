//! What the distances between two sets of samples depend on beside the samples.
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};

/// How two sets of samples are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeasureOptions {
    /// The seed of the random convolutions; distances of different seeds do not compare.
    pub feature_seed: u64,
    /// The seed of the halves of the first set.
    pub halves_seed: u64,
    /// Which neighbour the balls of precision and recall reach to; published numbers use the third.
    pub neighbours: usize,
    /// Samples of either set, evenly chosen, that measures over pairs compare: their time grows with the square.
    pub most_for_pairs: usize,
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self { feature_seed: 0, halves_seed: 0, neighbours: 3, most_for_pairs: 4000 }
    }
}

impl MeasureOptions {
    /// The least number of samples in a set: a half has to hold three, and one more than there are neighbours.
    pub(super) fn least(&self) -> usize {
        2 * (self.neighbours + 1).max(3)
    }

    pub(super) fn check(&self) -> Result<()> {
        let (mut problems, neighbours, most) = (Vec::new(), self.neighbours, self.most_for_pairs);
        let mut check = |holds, key, value, must: String| Problem::unless(&mut problems, holds, "", key, value, must);
        check((1..=1000).contains(&neighbours), "neighbours", neighbours, "must be in 1..=1000".into());
        let least = 2 * (neighbours.min(1000) + 1).max(3);
        check(most >= least, "most_for_pairs", most, format!("must be at least {least}"));
        Error::if_any(problems)
    }
}
