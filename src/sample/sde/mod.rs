//! `dx = (v + w · score) dt + √(2w) dW`: the stochastic equation with the marginals of `dx/dt = v`.
mod config;

pub use config::{LastStep, LastTime, SdeConfig, SdeMethod};

use super::network_field::cast;
use super::{At, Reached, Step, VelocityField};
use crate::path::{Path, PredictionKind};
use burn::tensor::Tensor;

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
    use super::*;
    use crate::path::Linear;
    use crate::random::{Purpose, SampleKey, normal};
    use crate::sample::{DiffusionForm, TimesConfig, uniform_times};
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
}
