//! What fits in the minutes that were given: how many candidates, samples, pilots and seeds.
use super::halving::{cells, rounds};
use super::tables::Length;
use serde::{Deserialize, Serialize};

/// Seeds of the first round, of the last halving and of the last round of all, the share of the samples, and that of the
/// candidates: the best first.
const SWEEPS: [(usize, usize, usize, f64, f64); 12] = [
    (2, 8, 32, 1.0, 1.0),
    (2, 8, 16, 1.0, 1.0),
    (2, 4, 16, 1.0, 1.0),
    (2, 4, 8, 1.0, 1.0),
    (2, 4, 8, 1.0, 0.67),
    (2, 4, 8, 0.5, 1.0),
    (2, 4, 8, 0.5, 0.67),
    (2, 4, 4, 0.5, 0.4),
    (1, 2, 4, 0.5, 0.67),
    (1, 2, 2, 0.5, 0.4),
    (1, 2, 2, 0.25, 0.4),
    (1, 2, 2, 0.25, 0.2),
];

/// Those that are in the last round of all, at most: the nearest base, and what cannot be told from the nearest.
pub(super) const CONTENDERS: usize = 4;

/// γ and seeds of the pilots, the best first.
const PILOTS: [(usize, usize); 6] = [(5, 3), (5, 2), (4, 2), (3, 2), (2, 2), (1, 2)];

/// Seeds, length of the training, and whether budgets beside those asked for are measured, for the picture.
const CONFIRMATIONS: [(usize, Length, bool); 8] = [
    (6, Length::Whole, true),
    (4, Length::Whole, true),
    (4, Length::Whole, false),
    (3, Length::Whole, true),
    (3, Length::Whole, false),
    (3, Length::Short, true),
    (3, Length::Short, false),
    (2, Length::Short, false),
];

/// γ in the order in which they are worth a pilot.
const LIKELY: [f64; 5] = [0.2, 0.1, 0.4, 0.05, 0.8];

/// The free sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct SweepPlan {
    /// Solvers and grids that are tried, the user's own not counted.
    pub bases: usize,
    /// Refinements of the best of them: grids around its own, then corrections.
    #[serde(alias = "corrections")]
    pub refinements: usize,
    /// Samples of a cell.
    pub samples: usize,
    /// Seeds of the first round.
    pub first: usize,
    /// Seeds of the last halving.
    pub most: usize,
    /// Seeds of those that could not be told from the nearest by then.
    pub last: usize,
}

impl SweepPlan {
    /// Cells at each budget, at most. The best base stands among its refinements.
    pub fn cells(&self) -> usize {
        let of = |candidates| cells(&rounds(candidates, self.first, self.most));
        of(self.bases) + of(self.refinements + 1) + CONTENDERS * (self.last - self.most)
    }

    /// Whether it tells half as much again as another: more candidates, samples or seeds.
    pub fn is_worth_more_than(&self, other: &Self) -> bool {
        let samples = |plan: &Self| plan.cells() as f64 * plan.samples as f64;
        samples(self) >= 1.5 * samples(other)
    }

    /// The largest sweep of at most `bases` and `refinements` that fits; `seconds` says what a number of cells of some
    /// samples takes. None if not even the least fits.
    pub fn fitting(
        (bases, refinements): (usize, usize),
        samples: usize,
        available: f64,
        seconds: impl Fn(usize, usize) -> f64,
    ) -> Option<Self> {
        let plan = |(first, most, last, of_samples, of_candidates): (usize, usize, usize, f64, f64)| {
            let part = |all: usize| ((all as f64 * of_candidates).round() as usize).max(2).min(all);
            let samples = ((samples as f64 * of_samples) as usize).max(2);
            Self { bases: part(bases), refinements: part(refinements), samples, first, most, last }
        };
        SWEEPS.into_iter().map(plan).find(|plan| seconds(plan.cells(), plan.samples) <= available)
    }
}

/// The pilots; none of them where no time is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PilotPlan {
    /// The γ that are tried.
    pub gammas: Vec<f64>,
    /// Seeds of each.
    pub seeds: usize,
}

impl PilotPlan {
    /// The largest that fits, of at most `seeds`; `seconds` says what pilots of some γ and seeds take.
    pub fn fitting(all: &[f64], seeds: usize, available: f64, seconds: impl Fn(&[f64], usize) -> f64) -> Self {
        let plan = |(count, most): (usize, usize)| Self { gammas: likely(all, count), seeds: most.min(seeds) };
        let fits = |plan: &Self| !plan.gammas.is_empty() && seconds(&plan.gammas, plan.seeds) <= available;
        PILOTS.into_iter().map(plan).find(fits).unwrap_or(Self { gammas: Vec::new(), seeds: 0 })
    }
}

/// At most `count` of the γ above 0, those near the likely ones first, in increasing order. γ = 0 slows nothing.
fn likely(all: &[f64], count: usize) -> Vec<f64> {
    let mut chosen: Vec<f64> = Vec::new();
    for wanted in LIKELY {
        let far = |gamma: &f64| (gamma - wanted).abs();
        let left = all.iter().copied().filter(|gamma| *gamma > 0.0 && !chosen.contains(gamma));
        if let Some(gamma) = left.min_by(|a, b| far(a).total_cmp(&far(b))).filter(|_| chosen.len() < count) {
            chosen.push(gamma);
        }
    }
    chosen.sort_by(f64::total_cmp);
    chosen
}

/// The confirmation on held-out data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct ConfirmationPlan {
    /// Seeds; 0 where no time is left.
    pub seeds: usize,
    /// Whether it trains as long as `post_train` says, and not only as long as a pilot.
    pub whole: bool,
    /// Whether it measures half and twice the budgets too.
    pub others: bool,
}

impl ConfirmationPlan {
    /// The largest that fits; `seconds` says what one takes.
    pub fn fitting(available: f64, seconds: impl Fn(&Self) -> f64) -> Self {
        let plan =
            |(seeds, length, others): (usize, Length, bool)| Self { seeds, whole: length == Length::Whole, others };
        let fits = |plan: &Self| seconds(plan) <= available;
        CONFIRMATIONS.into_iter().map(plan).find(fits).unwrap_or(Self { seeds: 0, whole: false, others: false })
    }

    /// How long it trains.
    pub fn length(&self) -> Length {
        if self.whole { Length::Whole } else { Length::Short }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_time_the_larger_the_sweep_and_none_takes_longer_than_it_may() {
        let seconds = |cells: usize, samples: usize| (cells * samples) as f64 * 1e-3;
        let plan = |available| SweepPlan::fitting((24, 10), 200, available, seconds);
        let mut before = f64::INFINITY;
        for available in [1e4, 100.0, 30.0, 20.0, 10.0, 5.0, 2.0, 1.0] {
            let Some(plan) = plan(available) else { continue };
            let takes = seconds(plan.cells(), plan.samples);
            assert!(takes <= available && takes <= before, "{available}: {plan:?}");
            before = takes;
        }
        let most = SweepPlan { bases: 24, refinements: 10, samples: 200, first: 2, most: 8, last: 32 };
        assert_eq!(plan(1e4), Some(most));
        assert_eq!(plan(0.1), None);
        assert!(plan(1e4).unwrap().is_worth_more_than(&plan(10.0).unwrap()));
        assert!(!plan(1e4).unwrap().is_worth_more_than(&plan(1e3).unwrap()));
        assert_eq!(most.cells(), (25 * 2 + 13 * 2 + 7 * 4) + (12 * 2 + 7 * 2 + 6 * 4) + 4 * 24);
    }

    #[test]
    fn pilots_are_as_many_as_fit() {
        let seconds = |gammas: &[f64], seeds: usize| ((gammas.len() + 1) * seeds) as f64;
        let all = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8];
        let plan = |available| PilotPlan::fitting(&all, 2, available, seconds);
        assert_eq!(plan(100.0), PilotPlan { gammas: vec![0.05, 0.1, 0.2, 0.4, 0.8], seeds: 2 });
        assert_eq!(plan(8.0), PilotPlan { gammas: vec![0.1, 0.2, 0.4], seeds: 2 });
        assert_eq!(plan(3.0), PilotPlan { gammas: Vec::new(), seeds: 0 });
        assert_eq!(likely(&[0.0], 3), [0.0; 0]);
        assert_eq!(likely(&[0.3, 0.0, 0.9], 5), [0.3, 0.9]);
    }

    #[test]
    fn a_confirmation_is_short_before_it_is_left_out() {
        let seconds = |plan: &ConfirmationPlan| {
            plan.seeds as f64 * if plan.whole { 10.0 } else { 3.0 } * if plan.others { 2.0 } else { 1.0 }
        };
        let plan = |available| ConfirmationPlan::fitting(available, seconds);
        assert_eq!(plan(1e3), ConfirmationPlan { seeds: 6, whole: true, others: true });
        assert_eq!(plan(35.0), ConfirmationPlan { seeds: 3, whole: true, others: false });
        assert_eq!(plan(6.0), ConfirmationPlan { seeds: 2, whole: false, others: false });
        assert_eq!(plan(1.0).seeds, 0);
    }
}
