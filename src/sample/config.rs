//! How samples are generated, as the JSON says it.
use super::network_field::Needs;
use super::{At, CorrectionConfig, GuidanceConfig, SolverConfig, Step, StepCount, TimesConfig, WeakGuidanceConfig};
use crate::Problem;
use crate::path::{Linear, Path, TrainingInterval};
use serde::{Deserialize, Serialize};

/// More steps are a mistake, and their times would fill the memory.
pub(crate) const MOST_STEPS: usize = 1_000_000;

/// Samples that are asked for at once, and tries of an adaptive solver, at most.
pub(crate) const MOST_SAMPLES: usize = 1_000_000_000;

/// The numbers that a state is held in while it is integrated. The network always sees f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StatePrecision {
    /// What the device computes in, f32 in general.
    #[default]
    F32,
    /// f64, as REPA does; not on every device.
    F64,
}

/// How samples are generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// The solver of the differential equation.
    #[serde(default)]
    pub solver: SolverConfig,
    /// Steps from noise to data; a last step of a stochastic solver is one of them. At least 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub steps: usize,
    /// What `steps` counts.
    #[serde(default)]
    pub count: StepCount,
    /// How the steps are laid out.
    #[serde(default)]
    pub times: TimesConfig,
    /// Classifier-free guidance; none if left out.
    #[serde(default)]
    pub guidance: Option<GuidanceConfig>,
    /// Guidance by a weaker network; none if left out.
    #[serde(default)]
    pub weak_guidance: Option<WeakGuidanceConfig>,
    /// Corrections of the velocity, the first applied first; none if left out.
    #[serde(default)]
    pub corrections: Vec<CorrectionConfig>,
    /// The precision of the state.
    #[serde(default)]
    pub state: StatePrecision,
    /// Samples generated together. Their values depend on it only with an adaptive solver. At least 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub batch_size: usize,
}

impl SamplerConfig {
    /// Steps of the same length, no guidance, no correction.
    pub fn new(solver: SolverConfig, steps: usize, batch_size: usize) -> Self {
        Self {
            solver,
            steps,
            count: StepCount::default(),
            times: TimesConfig::default(),
            guidance: None,
            weak_guidance: None,
            corrections: Vec::new(),
            state: StatePrecision::default(),
            batch_size,
        }
    }

    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let under = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let mut problems = Vec::new();
        for (key, count) in [("steps", self.steps), ("batch_size", self.batch_size)] {
            Problem::unless(&mut problems, count > 0, path, key, count, "must be at least 1");
        }
        let must = format!("must be at most {MOST_STEPS}");
        Problem::unless(&mut problems, self.steps <= MOST_STEPS, path, "steps", self.steps, must);
        let must = format!("must be at most {MOST_SAMPLES}");
        Problem::unless(&mut problems, self.batch_size <= MOST_SAMPLES, path, "batch_size", self.batch_size, must);
        let extra = self.steps > 0 && self.intervals() == 0;
        let must = "must be at least 2, one is an end point or the last step";
        Problem::unless(&mut problems, !extra, path, "steps", self.steps, must);
        problems.extend(self.solver.problems(&under("solver")));
        problems.extend(self.times.problems(&under("times")));
        problems.extend(self.guidance.iter().flat_map(|guidance| guidance.problems(&under("guidance"))));
        problems.extend(self.weak_guidance.iter().flat_map(|guidance| guidance.problems(&under("weak_guidance"))));
        for (i, correction) in self.corrections.iter().enumerate() {
            problems.extend(correction.problems(&under(&format!("corrections[{i}]"))));
        }
        let differential = self.corrections.iter().position(|c| matches!(c, CorrectionConfig::Differential(_)));
        if let Some(i) = differential.filter(|_| self.solver != SolverConfig::Euler) {
            let message = ": the differential correction is one of Euler's step, so the solver must be \"euler\"";
            problems.push(Problem { path: under(&format!("corrections[{i}]")), message: message.into() });
        }
        let guided = self.guidance.as_ref().is_some_and(GuidanceConfig::is_active);
        let message = match (&self.weak_guidance, self.solver) {
            (Some(WeakGuidanceConfig::Autoguidance { .. }), _) if guided => {
                ": autoguidance and classifier-free guidance exclude each other"
            }
            (Some(WeakGuidanceConfig::SkipLayer { .. }), SolverConfig::Dopri5(_)) => {
                ": skip-layer guidance counts steps, so the solver must have fixed ones"
            }
            _ => return problems,
        };
        problems.push(Problem { path: under("weak_guidance"), message: message.into() });
        problems
    }

    /// Network evaluations per sample (NFE) over the times [0, 1], one of a weak network included; none if the
    /// solver decides by itself.
    pub fn evaluations(&self) -> Option<usize> {
        // Without an interval every evaluation costs the same, so that no list of them is made.
        let constant = self.weak_guidance.is_none() && self.guidance.as_ref().is_none_or(|g| g.interval.is_none());
        if constant {
            let at = At::within(Step { index: 0, count: 1, start: 0.0 }, 0.0);
            let cost = Needs::of(self.guidance.as_ref(), None, &at).count();
            return Some(self.solver.evaluation_count(self.intervals())?.saturating_mul(cost));
        }
        let times = self.times_within(TrainingInterval { start: 0.0, end: 1.0 }, &Linear);
        let cost = |at| Needs::of(self.guidance.as_ref(), self.weak_guidance.as_ref(), &at).count();
        Some(self.solver.evaluations(&times)?.into_iter().map(cost).sum())
    }

    /// Increasing times between which the steps lie, without a last step of a stochastic solver.
    pub fn times_within(&self, interval: TrainingInterval, path: &dyn Path) -> Vec<f64> {
        let TrainingInterval { start, end } = match &self.solver {
            SolverConfig::Sde(config) => config.interval(interval, path, &self.times),
            _ => interval,
        };
        self.times.times(self.intervals(), start, end)
    }

    fn intervals(&self) -> usize {
        let last = matches!(&self.solver, SolverConfig::Sde(config) if config.has_last_step());
        self.steps.min(MOST_STEPS).saturating_sub(usize::from(last || self.count == StepCount::Points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> SamplerConfig {
        serde_json::from_str(json).unwrap()
    }

    fn paths(json: &str) -> Vec<String> {
        parse(json).problems("s").into_iter().map(|p| p.path).collect()
    }

    #[test]
    fn two_numbers_are_enough() {
        let config = parse(r#"{"steps": 10, "batch_size": 4}"#);
        assert_eq!(config, SamplerConfig::new(SolverConfig::Euler, 10, 4));
        assert!(config.problems("").is_empty());
    }

    #[test]
    fn every_problem_is_reported() {
        let json = r#"{"steps": 0, "batch_size": 0, "guidance": {"scale": -1}, "times": {"kind": "sd3", "shift": 0},
            "solver": {"dopri5": {"atol": 0}}, "corrections": [{"kind": "epsilon_scaling", "lambda": -1}]}"#;
        let expected = [
            "s.steps",
            "s.batch_size",
            "s.solver.dopri5.atol",
            "s.times.shift",
            "s.guidance.scale",
            "s.corrections[0].lambda",
        ];
        assert_eq!(paths(json), expected);
        let endless = r#"{"steps": 1000000000000000000, "batch_size": 1}"#;
        assert_eq!(paths(endless), ["s.steps"]);
        assert!(parse(endless).evaluations().is_some());
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        let both = r#"{"steps": 2, "batch_size": 1, "guidance": {"scale": 2},
            "weak_guidance": {"kind": "autoguidance", "scale": 2}}"#;
        assert_eq!(paths(both), ["s.weak_guidance"]);
        let adaptive = r#"{"steps": 2, "batch_size": 1, "solver": {"dopri5": {}},
            "weak_guidance": {"kind": "skip_layer"}}"#;
        assert_eq!(paths(adaptive), ["s.weak_guidance"]);
    }

    #[test]
    fn points_are_one_more_than_steps_and_a_last_step_is_one_of_them() {
        let steps = |json: &str| {
            let config = parse(json);
            config.times_within(TrainingInterval { start: 0.0, end: 1.0 }, &Linear).len() - 1
        };
        assert_eq!(steps(r#"{"steps": 250, "batch_size": 1}"#), 250);
        assert_eq!(steps(r#"{"steps": 250, "batch_size": 1, "count": "points"}"#), 249);
        for count in ["points", "intervals"] {
            let sde = format!(r#"{{"steps": 250, "batch_size": 1, "count": "{count}", "solver": {{"sde": {{}}}}}}"#);
            assert_eq!(steps(&sde), 249);
            assert_eq!(parse(&sde).evaluations(), Some(250));
        }
        assert_eq!(paths(r#"{"steps": 1, "batch_size": 1, "count": "points"}"#), ["s.steps"]);
    }
}
