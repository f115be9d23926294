//! The section `gamma_search`: how `"gamma": "auto"` is chosen.
use super::{ExperimentConfig, add};
use crate::Problem;
use crate::post_train::gamma::CANDIDATES;
use crate::post_train::{ScheduleConfig, StageConfig};
use crate::sample::{MOST_SAMPLES, MOST_STEPS};
use crate::timestep::StrategyConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How γ is chosen, where `post_train.strategy` says `"gamma": "auto"` or by `mixflow choose-gamma`: by *pilots*, short
/// post-trainings of a control and of a few γ. Each is sampled at the budgets asked for and compared with a fifth of the
/// training data, which pilots leave out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GammaSearchConfig {
    /// The budgets to choose for, network evaluations per sample; several count equally. Those of `compare` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<Vec<usize>>,
    /// Choose for every distance at every budget apart, instead of once for all budgets by one distance.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub each: bool,
    /// The distance to choose by, as `results.json` names it; the first of the data's if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<String>,
    /// The γ to choose from, each in [0, 1]. Not all are tried.
    pub gammas: Vec<f64>,
    /// Optimizer steps of a pilot; a third of the post-training's if left out. Its schedule is shortened alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pilot_steps: Option<usize>,
    /// One repetition of every pilot each; apart from the seeds that results are reported for.
    pub seeds: Vec<u64>,
    /// Samples of each pilot at each budget; as many as results are measured on if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub samples: Option<usize>,
}

impl Default for GammaSearchConfig {
    fn default() -> Self {
        Self {
            evaluations: None,
            each: false,
            distance: None,
            gammas: CANDIDATES.to_vec(),
            pilot_steps: None,
            seeds: vec![1_000_001, 1_000_002],
            samples: None,
        }
    }
}

impl ExperimentConfig {
    pub(super) fn gamma_search_problems(&self, path: &str) -> Vec<Problem> {
        let (search, stage) = (&self.gamma_search, &self.post_train);
        let mut problems = Vec::new();
        let unit = !search.gammas.is_empty() && search.gammas.iter().all(|gamma| (0.0..=1.0).contains(gamma));
        let gammas = format!("{:?}", search.gammas);
        Problem::unless(&mut problems, unit, path, "gammas", &gammas, "must name at least one γ, each in [0, 1]");
        let once = search.gammas.iter().enumerate().all(|(i, gamma)| !search.gammas[..i].contains(gamma));
        Problem::unless(&mut problems, once, path, "gammas", gammas, "must not repeat a γ");
        let distinct: BTreeSet<_> = search.seeds.iter().collect();
        let some = !search.seeds.is_empty() && distinct.len() == search.seeds.len();
        let seeds = format!("{:?}", search.seeds);
        Problem::unless(&mut problems, some, path, "seeds", &seeds, "must name at least one, and none twice");
        let apart = !search.seeds.iter().any(|seed| self.compare.seeds.contains(seed));
        let must = "must be others than those of `compare`, or a choice is judged by the draws that made it";
        Problem::unless(&mut problems, apart, path, "seeds", seeds, must);
        if let Some(budgets) = &search.evaluations {
            let distinct: BTreeSet<_> = budgets.iter().collect();
            let inside = budgets.iter().all(|n| (1..=MOST_STEPS).contains(n));
            let some = distinct.len() == budgets.len() && !budgets.is_empty() && inside;
            let must = format!("must name at least one in 1..={MOST_STEPS}, and none twice");
            Problem::unless(&mut problems, some, path, "evaluations", format!("{budgets:?}"), must);
        }
        let known: Vec<&str> = self.metrics().iter().map(|metric| metric.name).collect();
        if let Some(name) = search.distance.as_deref().filter(|name| !known.contains(name)) {
            add(&mut problems, format!("{path}.distance"), format!("= {name:?}: must be one of {}", known.join(", ")));
        }
        if search.each && search.distance.is_some() {
            add(&mut problems, format!("{path}.distance"), ": would be ignored, \"each\" chooses for every distance");
        }
        if search.each && self.gamma_is_auto() {
            let message = ": must be false where \"gamma\" is \"auto\", which needs one choice";
            add(&mut problems, format!("{path}.each"), message);
        }
        if let Some(steps) = search.pilot_steps {
            let fits = (1..=stage.steps).contains(&steps);
            let must = format!("must be in 1..={}, the steps of the post-training", stage.steps);
            Problem::unless(&mut problems, fits, path, "pilot_steps", steps, must);
            let epoch = stage.steps_per_epoch.max(1);
            let whole = steps <= epoch || steps.is_multiple_of(epoch);
            let must = format!("must be at most steps_per_epoch = {epoch} or a multiple of it");
            Problem::unless(&mut problems, whole, path, "pilot_steps", steps, must);
        }
        if let Some(samples) = search.samples {
            Problem::unless(&mut problems, samples >= 2, path, "samples", samples, "must be at least 2");
            let must = format!("must be at most {MOST_SAMPLES}");
            Problem::unless(&mut problems, samples <= MOST_SAMPLES, path, "samples", samples, must);
        }
        problems
    }
}

impl GammaSearchConfig {
    /// The stage of a pilot: `stage` with the standard strategy, shortened.
    pub fn pilot(&self, stage: &StageConfig) -> StageConfig {
        let (third, epoch) = (stage.steps.div_ceil(3), stage.steps_per_epoch.max(1));
        // Whole epochs, so that a pilot that is stopped goes on at its last checkpoint.
        let short = if third > epoch { third.next_multiple_of(epoch) } else { third };
        let steps = self.pilot_steps.unwrap_or(short).min(stage.steps);
        let shorter = |count: usize| (count as u128 * steps as u128 / stage.steps.max(1) as u128) as usize;
        let (warm_up, hold) = (shorter(stage.schedule.warm_up), shorter(stage.schedule.hold));
        let decay_end = stage.schedule.decay_end.map(|end| shorter(end).max(warm_up + hold + 1));
        let decay_end = decay_end.filter(|end| *end < steps);
        let schedule = ScheduleConfig { warm_up, hold, decay_end, ..stage.schedule };
        let epoch = if steps.is_multiple_of(epoch) { epoch } else { steps };
        let strategy = StrategyConfig::standard();
        StageConfig { strategy, steps, steps_per_epoch: epoch, schedule, ..stage.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post_train::Decay;

    #[test]
    fn a_pilot_is_the_stage_in_short() {
        let schedule = ScheduleConfig { warm_up: 100, decay: Decay::Cosine, final_fraction: 0.1, ..Default::default() };
        let strategy = StrategyConfig::mixflow(0.4);
        let stage = StageConfig { strategy, schedule, steps: 1000, steps_per_epoch: 500, ..Default::default() };
        let search = GammaSearchConfig { pilot_steps: Some(250), ..Default::default() };
        let pilot = search.pilot(&stage);
        assert_eq!((pilot.steps, pilot.steps_per_epoch, pilot.schedule.warm_up), (250, 250, 25));
        assert_eq!(pilot.strategy, StrategyConfig::standard());
        let third = GammaSearchConfig::default().pilot(&stage);
        assert_eq!((third.steps, third.steps_per_epoch, third.schedule.warm_up), (334, 334, 33));
        let long = StageConfig { steps: 10_000, ..stage.clone() };
        assert_eq!(GammaSearchConfig::default().pilot(&long).steps, 3500);
        let early = ScheduleConfig { warm_up: 1, decay_end: Some(3), ..schedule };
        let tiny = GammaSearchConfig { pilot_steps: Some(10), ..search.clone() };
        let pilot = tiny.pilot(&StageConfig { schedule: early, ..stage.clone() });
        assert!(pilot.schedule.problems("schedule", pilot.steps).is_empty(), "{pilot:?}");
        let whole = GammaSearchConfig { pilot_steps: Some(1000), ..search }.pilot(&stage);
        assert_eq!((whole.steps, whole.steps_per_epoch, whole.schedule), (1000, 500, schedule));
    }
}
