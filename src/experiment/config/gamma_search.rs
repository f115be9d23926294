//! The section `gamma_search`: how `"gamma": "auto"` is chosen.
use crate::Problem;
use crate::experiment::config::add;
use crate::post_train::gamma::CANDIDATES;
use crate::post_train::{ScheduleConfig, StageConfig};
use crate::sample::MOST_STEPS;
use crate::timestep::StrategyConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How γ is chosen where the strategy says `"gamma": "auto"`: by *pilots*, short post-trainings of a control and of a few
/// γ, each sampled with the steps asked for and compared with every fifth training sample, which pilots leave out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GammaSearchConfig {
    /// The steps to choose for; several count equally. Those that results are sampled with if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<usize>>,
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
    /// Samples of each pilot for each number of steps; as many as results are measured on if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub samples: Option<usize>,
}

impl Default for GammaSearchConfig {
    fn default() -> Self {
        Self {
            steps: None,
            distance: None,
            gammas: CANDIDATES.to_vec(),
            pilot_steps: None,
            seeds: vec![1_000_001, 1_000_002],
            samples: None,
        }
    }
}

impl GammaSearchConfig {
    /// Every value that violates a condition, or would be ignored by `stage`.
    pub(super) fn problems(&self, path: &str, stage: &StageConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !stage.strategy.is_auto() && *self != Self::default() {
            add(&mut problems, path.into(), ": would be ignored, no strategy says \"gamma\": \"auto\"");
        }
        let unit = !self.gammas.is_empty() && self.gammas.iter().all(|gamma| (0.0..=1.0).contains(gamma));
        let gammas = format!("{:?}", self.gammas);
        Problem::unless(&mut problems, unit, path, "gammas", &gammas, "must name at least one γ, each in [0, 1]");
        let once = self.gammas.iter().enumerate().all(|(i, gamma)| !self.gammas[..i].contains(gamma));
        Problem::unless(&mut problems, once, path, "gammas", gammas, "must not repeat a γ");
        let distinct: BTreeSet<_> = self.seeds.iter().collect();
        let some = !self.seeds.is_empty() && distinct.len() == self.seeds.len();
        let seeds = format!("{:?}", self.seeds);
        Problem::unless(&mut problems, some, path, "seeds", seeds, "must name at least one, and none twice");
        if let Some(steps) = &self.steps {
            let distinct: BTreeSet<_> = steps.iter().collect();
            let inside = steps.iter().all(|steps| (1..=MOST_STEPS).contains(steps));
            let some = distinct.len() == steps.len() && !steps.is_empty() && inside;
            let must = format!("must name at least one in 1..={MOST_STEPS}, and none twice");
            Problem::unless(&mut problems, some, path, "steps", format!("{steps:?}"), must);
        }
        if let Some(steps) = self.pilot_steps {
            let fits = (1..=stage.steps).contains(&steps);
            let must = format!("must be in 1..={}, the steps of the post-training", stage.steps);
            Problem::unless(&mut problems, fits, path, "pilot_steps", steps, must);
            let epoch = stage.steps_per_epoch.max(1);
            let whole = steps <= epoch || steps.is_multiple_of(epoch);
            let must = format!("must be at most steps_per_epoch = {epoch} or a multiple of it");
            Problem::unless(&mut problems, whole, path, "pilot_steps", steps, must);
        }
        if let Some(samples) = self.samples {
            Problem::unless(&mut problems, samples >= 2, path, "samples", samples, "must be at least 2");
        }
        problems
    }

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
        StageConfig { strategy: StrategyConfig::Standard {}, steps, steps_per_epoch: epoch, schedule, ..stage.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post_train::Decay;

    fn auto() -> StageConfig {
        let strategy = serde_json::from_str(r#"{"kind": "mixflow", "gamma": "auto"}"#).unwrap();
        StageConfig { strategy, steps: 1000, steps_per_epoch: 500, ..Default::default() }
    }

    #[test]
    fn a_pilot_is_the_stage_in_short() {
        let schedule = ScheduleConfig { warm_up: 100, decay: Decay::Cosine, final_fraction: 0.1, ..Default::default() };
        let stage = StageConfig { schedule, ..auto() };
        let search = GammaSearchConfig { pilot_steps: Some(250), ..Default::default() };
        let pilot = search.pilot(&stage);
        assert_eq!((pilot.steps, pilot.steps_per_epoch, pilot.schedule.warm_up), (250, 250, 25));
        assert_eq!(pilot.strategy, StrategyConfig::Standard {});
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

    #[test]
    fn problems_name_their_keys() {
        let json = r#"{"steps": [5, 5], "gammas": [0.1, 2], "pilot_steps": 2000, "seeds": [], "samples": 1}"#;
        let search: GammaSearchConfig = serde_json::from_str(json).unwrap();
        let text: Vec<String> = search.problems("gamma_search", &auto()).iter().map(ToString::to_string).collect();
        for (problem, expected) in text.iter().zip([
            "gammas = [0.1, 2.0]",
            "seeds = []",
            "steps = [5, 5]",
            "pilot_steps = 2000: must be in 1..=1000",
            "samples = 1",
        ]) {
            assert!(problem.starts_with(&format!("gamma_search.{expected}")), "{problem}");
        }
        assert_eq!(text.len(), 5);
        let one = |search: GammaSearchConfig| {
            search.problems("s", &auto()).iter().map(ToString::to_string).collect::<String>()
        };
        let twice = GammaSearchConfig { gammas: vec![0.1, 0.1], ..Default::default() };
        assert_eq!(one(twice), "s.gammas = [0.1, 0.1]: must not repeat a γ");
        let many = GammaSearchConfig { steps: Some(vec![1_000_000_000]), ..Default::default() };
        assert!(one(many).contains("must name at least one in 1..=1000000"));
        let broken = GammaSearchConfig { pilot_steps: Some(700), ..Default::default() };
        assert!(one(broken).contains("must be at most steps_per_epoch = 500 or a multiple of it"));
        let fixed = StageConfig { strategy: StrategyConfig::mixflow(0.1), ..auto() };
        let used = GammaSearchConfig { samples: Some(9), ..Default::default() };
        assert!(used.problems("gamma_search", &fixed)[0].message.contains("would be ignored"));
        assert!(GammaSearchConfig::default().problems("gamma_search", &fixed).is_empty());
        assert!(serde_json::from_str::<GammaSearchConfig>(r#"{"step": [5]}"#).is_err());
    }
}
