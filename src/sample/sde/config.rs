//! The stochastic sampler as the JSON says it.
use crate::Problem;
use crate::path::{Path, TrainingInterval};
use crate::sample::{At, DiffusionForm, Step, TimesConfig};
use serde::{Deserialize, Serialize};

/// What the noisy steps keep away from an end at which a coefficient is infinite; SiT's `sample_eps`.
const EPSILON: f64 = 1e-3;

/// A scheme for the stochastic equation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SdeMethod {
    /// Euler–Maruyama: one evaluation per step.
    #[default]
    EulerMaruyama,
    /// The noise first, then a step of Heun's method with the noise level of its start: two evaluations per step.
    Heun,
}

/// What follows the noisy steps, over [`SdeConfig::last_step_size`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LastStep {
    /// Nothing.
    None,
    /// A step without noise: `x + (v + w · score) size`.
    #[default]
    Mean,
    /// The expected data: `x/α + σ²/α · score`.
    Tweedie,
    /// A step of the ordinary equation: `x + v size`.
    Euler,
}

/// The time that the last step is taken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LastTime {
    /// The time that the noisy steps reached, `1 − last_step_size` if nothing ends them before.
    #[default]
    Grid,
    /// `1 − last_step_size`, although the noisy steps of a shifted grid end at its shift; the official code of RAE.
    Unshifted,
}

/// The stochastic sampler. The defaults are those of SiT's command line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SdeConfig {
    /// The scheme.
    pub method: SdeMethod,
    /// The diffusion coefficient `w`.
    pub form: DiffusionForm,
    /// Its factor. Finite and at least 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub norm: f64,
    /// The step without noise at the end. It counts as one of the steps.
    pub last_step: LastStep,
    /// Its length, in (0, 1).
    pub last_step_size: f64,
    /// Its time.
    pub last_time: LastTime,
}

impl Default for SdeConfig {
    fn default() -> Self {
        Self {
            method: SdeMethod::default(),
            form: DiffusionForm::default(),
            norm: 1.0,
            last_step: LastStep::default(),
            last_step_size: 0.04,
            last_time: LastTime::default(),
        }
    }
}

impl SdeConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Self { norm, last_step_size: size, .. } = *self;
        let valid = (norm as f32).is_finite() && norm >= 0.0;
        Problem::unless(&mut problems, valid, path, "norm", norm, "must be finite in f32 and at least 0");
        Problem::unless(&mut problems, size > 0.0 && size < 1.0, path, "last_step_size", size, "must be in (0, 1)");
        problems
    }

    /// Whether a step without noise ends the integration.
    pub fn has_last_step(&self) -> bool {
        self.last_step != LastStep::None
    }

    /// Where the noisy steps start and end for samplers on `interval`: as in SiT, and 1e-3 away from an end at
    /// which the scheme would meet an infinite coefficient.
    pub fn interval(&self, interval: TrainingInterval, path: &dyn Path, times: &TimesConfig) -> TrainingInterval {
        let TrainingInterval { mut start, mut end } = interval;
        if !self.form.at(self.norm, path, start).is_finite() {
            start = start.max(EPSILON);
        }
        if self.has_last_step() {
            let last = 1.0 - self.last_step_size;
            end = if self.last_time == LastTime::Unshifted { times.shifted(last) } else { last };
        } else if self.method == SdeMethod::Heun && self.is_noisy() && path.coefficients(end).sigma < f64::EPSILON {
            end -= EPSILON;
        }
        TrainingInterval { start, end }
    }

    /// Whether `w` is not zero everywhere.
    fn is_noisy(&self) -> bool {
        self.norm > 0.0 || self.form == DiffusionForm::Decreasing
    }

    /// How many evaluations `intervals` noisy steps and the last one take.
    pub(in crate::sample) fn evaluation_count(&self, intervals: usize) -> usize {
        let each = if self.method == SdeMethod::Heun { 2 } else { 1 };
        intervals.saturating_mul(each).saturating_add(usize::from(self.has_last_step()))
    }

    /// Every evaluation over the `times` of the noisy steps.
    pub(in crate::sample) fn evaluations(&self, times: &[f64]) -> Vec<At<'static>> {
        let count = times.len().saturating_sub(1) + usize::from(self.has_last_step());
        let mut all = Vec::new();
        for (index, ends) in times.windows(2).enumerate() {
            let step = Step { index, count, start: ends[0] };
            all.push(At::within(step, ends[0]));
            if self.method == SdeMethod::Heun {
                all.push(At::within(step, ends[1]));
            }
        }
        if self.has_last_step() {
            all.push(self.last(times, count));
        }
        all
    }

    pub(super) fn last(&self, times: &[f64], count: usize) -> At<'static> {
        let unshifted = 1.0 - self.last_step_size;
        let time = match self.last_time {
            LastTime::Grid => times.last().copied().unwrap_or(unshifted),
            LastTime::Unshifted => unshifted,
        };
        At::within(Step { index: count - 1, count, start: time }, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Gvp, Linear, Vp};

    #[test]
    fn the_interval_avoids_infinite_coefficients_only() {
        let whole = TrainingInterval { start: 0.0, end: 1.0 };
        let (uniform, shifted) = (TimesConfig::default(), TimesConfig::Sd3 { shift: 3.0 });
        let of = |config: SdeConfig, path: &dyn Path, times: &TimesConfig| {
            let TrainingInterval { start, end } = config.interval(whole, path, times);
            (start, end)
        };
        let config = SdeConfig::default();
        assert_eq!(of(config, &Linear, &uniform), (0.0, 0.96));
        assert_eq!(of(config, &Linear, &shifted), (0.0, 0.96));
        let sbdm = SdeConfig { form: DiffusionForm::Sbdm, ..config };
        assert_eq!(of(sbdm, &Linear, &uniform), (1e-3, 0.96));
        assert_eq!(of(sbdm, &Gvp, &uniform), (1e-3, 0.96));
        assert_eq!(of(sbdm, &Vp::default(), &uniform), (0.0, 0.96));
        let none = SdeConfig { last_step: LastStep::None, ..config };
        assert_eq!(of(none, &Linear, &uniform), (0.0, 1.0));
        let heun = SdeConfig { method: SdeMethod::Heun, ..none };
        for path in [&Linear as &dyn Path, &Gvp, &Vp::default()] {
            assert_eq!(of(heun, path, &uniform), (0.0, 0.999));
        }
        let still = SdeConfig { norm: 0.0, ..heun };
        assert_eq!(of(still, &Linear, &uniform), (0.0, 1.0));
        // ¼ (n cos πt + 1)² is ¼ for n = 0.
        assert_eq!(of(SdeConfig { form: DiffusionForm::Decreasing, ..still }, &Linear, &uniform), (0.0, 0.999));
    }
}
