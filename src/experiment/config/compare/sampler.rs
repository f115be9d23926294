//! The samplers of the table, each at every budget.
use crate::sample::{
    CorrectionConfig, GuidanceConfig, SamplerConfig, SolverConfig, StatePrecision, StepCount, TimesConfig,
    WeakGuidanceConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to sample; its number of steps follows from the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmSampler {
    /// Its name in the table.
    pub name: String,
    /// The solver, one with fixed steps.
    #[serde(default)]
    pub solver: SolverConfig,
    /// What the solver's steps count.
    #[serde(default)]
    pub count: StepCount,
    /// How the steps are laid out.
    #[serde(default)]
    pub times: TimesConfig,
    /// Classifier-free guidance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<GuidanceConfig>,
    /// Guidance by a weaker network: that of `sample.weak`, or the network without `sample.skipped_layers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak_guidance: Option<WeakGuidanceConfig>,
    /// Corrections of the velocity, the first applied first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<CorrectionConfig>,
    /// The precision of the state.
    #[serde(default)]
    pub state: StatePrecision,
    /// Budgets of its own, network evaluations per sample; those of `compare` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<Vec<usize>>,
    /// Draw a few samples to look at and measure no distance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_pictures: bool,
    /// The arms it samples, by the names of their entries in `arms`; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Vec<String>>,
}

/// Budgets up to which all numbers of steps are tried.
const FEW: usize = 4096;
/// Numbers of steps tried on both sides of the one that a search finds.
const AROUND: usize = 4;

impl ArmSampler {
    /// The sampler of `config` at any number of steps, named after its solver and guidance.
    pub(crate) fn of(config: &SamplerConfig) -> Self {
        let SamplerConfig { solver, count, times, guidance, weak_guidance, corrections, state, .. } = config.clone();
        let json = serde_json::to_value(solver).unwrap_or_default();
        let solver_name = json.as_str().or_else(|| json.as_object()?.keys().next().map(String::as_str));
        let mut letters = solver_name.unwrap_or("sampler").chars();
        let mut name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        if let Some(guidance) = guidance.as_ref().filter(|guidance| guidance.is_active()) {
            name += &format!(", guidance {}", guidance.scale);
        }
        Self {
            name,
            solver,
            count,
            times,
            guidance,
            weak_guidance,
            corrections,
            state,
            evaluations: None,
            only_pictures: false,
            arms: None,
        }
    }

    /// The sampler that spends `evaluations` per sample; none if its steps cannot.
    pub fn with_evaluations(&self, evaluations: usize, batch_size: usize) -> Option<SamplerConfig> {
        let with = |steps| self.with_steps(steps, batch_size);
        let most = evaluations.saturating_add(1);
        let mut near = 1..=most;
        if most > FEW {
            // More steps cost more, but for a few evaluations where an interval of guidance begins or ends.
            let (mut low, mut high) = (1, most);
            while low < high {
                let middle = low + (high - low) / 2;
                let enough = with(middle).evaluations()? >= evaluations;
                (low, high) = if enough { (low, middle) } else { (middle + 1, high) };
            }
            near = low.saturating_sub(AROUND).max(1)..=most.min(low + AROUND);
        }
        near.map(with).find(|config| config.evaluations() == Some(evaluations))
    }

    pub(crate) fn with_steps(&self, steps: usize, batch_size: usize) -> SamplerConfig {
        SamplerConfig {
            count: self.count,
            times: self.times.clone(),
            guidance: self.guidance.clone(),
            weak_guidance: self.weak_guidance.clone(),
            corrections: self.corrections.clone(),
            state: self.state,
            ..SamplerConfig::new(self.solver, steps, batch_size)
        }
    }

    /// Its budgets, where the table has `others`.
    pub fn budgets<'a>(&'a self, others: &'a [usize]) -> &'a [usize] {
        self.evaluations.as_deref().unwrap_or(others)
    }

    /// Whether it samples the arms of an entry.
    pub fn samples(&self, entry: &str) -> bool {
        self.arms.as_ref().is_none_or(|arms| arms.iter().any(|arm| arm == entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_from_the_budget() {
        let sampler = |json: &str| serde_json::from_str::<ArmSampler>(json).unwrap();
        let heun = sampler(r#"{"name": "Heun", "solver": "heun"}"#);
        assert_eq!(heun.with_evaluations(10, 1).map(|c| c.steps), Some(5));
        assert_eq!(heun.with_evaluations(5, 1), None);
        let guided = sampler(r#"{"name": "guided", "guidance": {"scale": 2}}"#);
        assert_eq!(guided.with_evaluations(10, 1).map(|c| c.steps), Some(5));
        let points = sampler(r#"{"name": "points", "count": "points"}"#);
        assert_eq!(points.with_evaluations(10, 1).map(|c| c.steps), Some(11));
        assert_eq!(guided.with_evaluations(1_000_000, 1).map(|c| c.steps), Some(500_000));
        assert_eq!(guided.with_evaluations(999_999, 1), None);
        assert_eq!(points.with_evaluations(5000, 1).map(|c| c.steps), Some(5001));
    }

    #[test]
    fn a_sampler_of_the_configuration_is_named_after_it() {
        let mut config = SamplerConfig::new(SolverConfig::Euler, 10, 4);
        assert_eq!(ArmSampler::of(&config).name, "Euler");
        assert_eq!(ArmSampler::of(&config).with_steps(10, 4), config);
        config.guidance = serde_json::from_str(r#"{"scale": 1.5}"#).ok();
        assert_eq!(ArmSampler::of(&config).name, "Euler, guidance 1.5");
    }
}
