//! Which sets of a training stay.
use crate::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which checkpoint sets stay when a newer one is complete. What several rules name stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// So many of the newest sets, at least 2: the newest may turn out to be damaged.
    pub last: usize,
    /// So many sets with the smallest validation losses.
    #[serde(skip_serializing_if = "is_zero")]
    pub best: usize,
    /// Every set whose step is a multiple of this; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub every: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { last: 2, best: 0, every: 0 }
    }
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// A set as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub step: usize,
    pub validation: Option<f64>,
}

impl Retention {
    /// Everything out of range.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let last = self.last;
        Problem::unless(&mut problems, last >= 2, path, "last", last, "must be at least 2, as one set may get damaged");
        problems
    }

    /// The steps of those that stay.
    pub(super) fn kept(&self, sets: &[Candidate]) -> BTreeSet<usize> {
        let mut by_age: Vec<usize> = sets.iter().map(|set| set.step).collect();
        by_age.sort_unstable_by(|a, b| b.cmp(a));
        let measured = sets.iter().filter_map(|set| Some((set.validation.filter(|loss| loss.is_finite())?, set.step)));
        let mut by_loss: Vec<(f64, usize)> = measured.collect();
        by_loss.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let newest = by_age.iter().take(self.last.max(1)).copied();
        let best = by_loss.iter().take(self.best).map(|(_, step)| *step);
        let every = by_age.iter().copied().filter(|step| self.every > 0 && step.is_multiple_of(self.every));
        newest.chain(best).chain(every).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_best_and_regular_sets_stay() {
        let losses = [Some(0.5), Some(0.1), None, Some(0.3), Some(f64::NAN), Some(0.4)];
        let sets: Vec<_> =
            losses.iter().enumerate().map(|(i, loss)| Candidate { step: (i + 1) * 10, validation: *loss }).collect();
        let kept = |last, best, every| Vec::from_iter(Retention { last, best, every }.kept(&sets));
        assert_eq!(kept(2, 0, 0), [50, 60]);
        assert_eq!(kept(2, 1, 0), [20, 50, 60]);
        assert_eq!(kept(2, 0, 30), [30, 50, 60]);
        assert_eq!(Retention { last: 1, ..Default::default() }.problems("keep").len(), 1);
    }
}
