//! `dx = (v + w · score) dt + √(2w) dW`: the stochastic equation with the marginals of `dx/dt = v`.
use super::network_field::cast;
use super::{At, DiffusionForm, Reached, Step, TimesConfig, VelocityField};
use crate::Problem;
use crate::path::{Path, PredictionKind, TrainingInterval};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the noisy steps keep away from an end at which a coefficient is infinite; SiT's `sample_eps`.
const EPSILON: f64 = 1e-3;

/// A scheme for the stochastic equation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SdeMethod {
    /// Euler–Maruyama: one evaluation per step.
    #[default]
    EulerMaruyama,
    /// The noise first, then a step of Heun's method with the noise level of its start: two evaluations per step.
    Heun,
}

/// What follows the noisy steps, over [`SdeConfig::last_step_size`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastTime {
    /// The time that the noisy steps reached, `1 − last_step_size` if nothing ends them before.
    #[default]
    Grid,
    /// `1 − last_step_size`, although the noisy steps of a shifted grid end at its shift; the official code of RAE.
    Unshifted,
}

/// The stochastic sampler. The defaults are those of SiT's command line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SdeConfig {
    /// The scheme.
    pub method: SdeMethod,
    /// The diffusion coefficient `w`.
    pub form: DiffusionForm,
    /// Its factor. Finite and at least 0.
    #[schemars(range(min = 0.0))]
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
        let valid = norm.is_finite() && norm >= 0.0;
        Problem::unless(&mut problems, valid, path, "norm", norm, "must be finite and at least 0");
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
        } else if self.method == SdeMethod::Heun && self.norm > 0.0 && path.coefficients(end).sigma == 0.0 {
            end -= EPSILON;
        }
        TrainingInterval { start, end }
    }

    /// Every evaluation over the `times` of the noisy steps.
    pub(super) fn evaluations(&self, times: &[f64]) -> Vec<At<'static>> {
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

    fn last(&self, times: &[f64], count: usize) -> At<'static> {
        let unshifted = 1.0 - self.last_step_size;
        let time = match self.last_time {
            LastTime::Grid => times.last().copied().unwrap_or(unshifted),
            LastTime::Unshifted => unshifted,
        };
        At::within(Step { index: count - 1, count, start: time }, time)
    }
}

/// The state after the noisy steps over increasing `times` and the last step of `config`, from `start`.
///
/// `noise(step)` gives the standard normal values of a step, shaped like the state.
pub fn solve_sde<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    start: Tensor<D>,
    times: &[f64],
    config: &SdeConfig,
    path: &dyn Path,
    noise: &mut dyn FnMut(usize) -> Tensor<D>,
    observe: &mut dyn FnMut(Reached<'_, D>),
) -> Tensor<D> {
    let steps = times.len().saturating_sub(1) + usize::from(config.has_last_step());
    let weight = |t: f64| config.form.at(config.norm, path, t);
    let score = |t: f64| PredictionKind::Velocity.weights(PredictionKind::Score, path, t);
    let drift = |x: Tensor<D>, at: At<'_>| {
        let velocity = field.velocity_at(x.clone(), at);
        let w = weight(at.time);
        if w == 0.0 {
            return velocity;
        }
        let (of_velocity, of_noisy) = score(at.time);
        velocity.mul_scalar(1.0 + w * of_velocity) + x.mul_scalar(w * of_noisy)
    };
    let (mut state, mut evaluations) = (start, 0);
    for (index, ends) in times.windows(2).enumerate() {
        let step = Step { index, count: steps, start: ends[0] };
        let width = ends[1] - ends[0];
        let shaken = cast(noise(index), state.dtype()).mul_scalar((2.0 * weight(ends[0]) * width).sqrt());
        let here = At::within(step, ends[0]);
        state = match config.method {
            SdeMethod::EulerMaruyama => {
                let slope = drift(state.clone(), here);
                state + slope.mul_scalar(width) + shaken
            }
            SdeMethod::Heun => {
                let state = state + shaken;
                let first = drift(state.clone(), here);
                let ahead = state.clone() + first.clone().mul_scalar(width);
                let second = drift(ahead, At::within(step, ends[1]));
                state + (first + second).mul_scalar(0.5 * width)
            }
        };
        evaluations += if config.method == SdeMethod::Heun { 2 } else { 1 };
        observe(Reached { step: index + 1, steps, time: ends[1], evaluations, state: &state });
    }
    if !config.has_last_step() {
        return state;
    }
    let (at, size) = (config.last(times, steps), config.last_step_size);
    state = match config.last_step {
        LastStep::None => state,
        LastStep::Mean => state.clone() + drift(state, at).mul_scalar(size),
        LastStep::Euler => state.clone() + field.velocity_at(state, at).mul_scalar(size),
        LastStep::Tweedie => {
            let c = path.coefficients(at.time);
            let (of_velocity, of_noisy) = score(at.time);
            let variance = c.sigma * c.sigma;
            let velocity = field.velocity_at(state.clone(), at);
            velocity.mul_scalar(variance * of_velocity / c.alpha)
                + state.mul_scalar((1.0 + variance * of_noisy) / c.alpha)
        }
    };
    observe(Reached { step: steps, steps, time: at.time + size, evaluations: evaluations + 1, state: &state });
    state
}

#[cfg(test)]
mod tests {
    use super::super::uniform_times;
    use super::*;
    use crate::path::{Gvp, Linear, Vp};
    use crate::random::{Purpose, SampleKey, normal};
    use burn::tensor::{DType, Device};

    const VARIANCE: f64 = 0.3;

    /// The velocity for data N(0, 0.3) on the linear path.
    fn gaussian(x: Tensor<1>, t: f64) -> Tensor<1> {
        x.mul_scalar((t * VARIANCE - (1.0 - t)) / spread(t))
    }

    fn spread(t: f64) -> f64 {
        t * t * VARIANCE + (1.0 - t) * (1.0 - t)
    }

    fn keyed(step: usize, count: usize) -> Tensor<1> {
        let keys: Vec<_> = (0..count).map(|i| SampleKey { seed: 3, epoch: step as u64, position: i as u64 }).collect();
        Tensor::from_data(normal(&keys, Purpose::Diffusion, &[]), &Device::flex())
    }

    #[test]
    fn without_diffusion_it_is_the_ordinary_equation_with_the_order_of_the_scheme() {
        for (method, order) in [(SdeMethod::EulerMaruyama, 1.0), (SdeMethod::Heun, 2.0)] {
            let config = SdeConfig { method, norm: 0.0, last_step: LastStep::None, ..SdeConfig::default() };
            let error = |steps: usize| {
                let field = |x: Tensor<1>, t: f64| (x.clone() * x).mul_scalar(t.cos());
                let start = Tensor::<1>::full([1], 0.5, (&Device::flex(), DType::F64));
                let mut none = |_| Tensor::<1>::ones([1], (&Device::flex(), DType::F64));
                let times = uniform_times(steps);
                let end = solve_sde(&field, start, &times, &config, &Linear, &mut none, &mut |_| {});
                (end.into_scalar::<f64>() - 0.5 / (1.0 - 0.5 * 1f64.sin())).abs()
            };
            let measured = (error(160) / error(320)).log2();
            assert!((measured - order).abs() < 0.1, "{method:?}: {measured}");
        }
    }

    #[test]
    fn every_form_keeps_the_marginals() {
        use DiffusionForm::{Constant, Decreasing, IncreasingDecreasing, Sigma};
        let count = 20_000;
        let start = Tensor::from_data(
            normal(&[SampleKey { seed: 5, epoch: 0, position: 0 }], Purpose::InitialState, &[count]),
            &Device::flex(),
        );
        let start: Tensor<1> = Tensor::<2>::squeeze_dim(start, 0);
        let mut noise = |step: usize| {
            let key = SampleKey { seed: 3, epoch: step as u64, position: 0 };
            let noise = normal(&[key], Purpose::Diffusion, &[count]);
            Tensor::<2>::from_data(noise, &Device::flex()).squeeze_dim(0)
        };
        for form in [Constant, Sigma, DiffusionForm::Linear, Decreasing, IncreasingDecreasing] {
            for method in [SdeMethod::EulerMaruyama, SdeMethod::Heun] {
                let config = SdeConfig { method, form, last_step: LastStep::None, ..SdeConfig::default() };
                let times = TimesConfig::default().times(200, 0.0, 0.9);
                let end = solve_sde(&gaussian, start.clone(), &times, &config, &Linear, &mut noise, &mut |_| {});
                let found = end.square().mean().into_scalar::<f64>() / spread(0.9);
                // Standard error 1 %; the rest is the scheme's.
                assert!((found - 1.0).abs() < 0.05, "{form:?} {method:?}: {found}");
            }
        }
    }

    #[test]
    fn noise_belongs_to_the_sample_and_the_step() {
        let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(keyed(0, 4)), values(keyed(0, 9).narrow(0, 0, 4)));
        assert_ne!(values(keyed(0, 4)), values(keyed(1, 4)));
    }

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
        assert_eq!(of(SdeConfig { method: SdeMethod::Heun, ..none }, &Linear, &uniform), (0.0, 0.999));
    }
}
