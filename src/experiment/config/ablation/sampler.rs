//! The samplers of the table, each at every budget.
use crate::sample::{CorrectionConfig, GuidanceConfig, SamplerConfig, SolverConfig, TimesConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to sample; its number of steps follows from the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AblationSampler {
    /// Its name in the table.
    pub name: String,
    /// The solver, one with fixed steps.
    #[serde(default)]
    pub solver: SolverConfig,
    /// How the steps are laid out.
    #[serde(default)]
    pub times: TimesConfig,
    /// Classifier-free guidance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<GuidanceConfig>,
    /// Corrections of the velocity, the first applied first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<CorrectionConfig>,
    /// The arms it samples, by the names of their entries in `arms`; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Vec<String>>,
}

pub(super) fn one_sampler() -> Vec<AblationSampler> {
    let name = "Euler".to_string();
    let (solver, times) = (SolverConfig::Euler, TimesConfig::default());
    vec![AblationSampler { name, solver, times, guidance: None, corrections: Vec::new(), arms: None }]
}

impl AblationSampler {
    /// The sampler that spends `evaluations` per sample; none if its steps cannot.
    pub fn with_evaluations(&self, evaluations: usize, batch_size: usize) -> Option<SamplerConfig> {
        let with = |steps| self.with_steps(steps, batch_size);
        (1..=evaluations).map(with).find(|config| config.evaluations() == Some(evaluations))
    }

    pub(super) fn with_steps(&self, steps: usize, batch_size: usize) -> SamplerConfig {
        SamplerConfig {
            times: self.times,
            guidance: self.guidance.clone(),
            corrections: self.corrections.clone(),
            ..SamplerConfig::new(self.solver, steps, batch_size)
        }
    }

    /// Whether it samples the arms of an entry.
    pub fn samples(&self, entry: &str) -> bool {
        self.arms.as_ref().is_none_or(|arms| arms.iter().any(|arm| arm == entry))
    }
}
