//! Dormand and Prince's pair of orders 5 and 4 with the step control of torchdiffeq 0.2.5.
//!
//! Source: Hairer, Nørsett, Wanner, *Solving Ordinary Differential Equations I*, chapter II.4 and II.6.
use super::config::MOST_SAMPLES;
use super::dense::Piece;
use super::solve::advance;
use super::{At, Reached, Step, Tableau, VelocityField};
use crate::{Error, Problem, Result};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The weights of the difference between the solutions of order 5 and 4; the last is for the next step's first slope.
const ERROR: [f64; 7] = [
    35.0 / 384.0 - 1951.0 / 21600.0,
    0.0,
    500.0 / 1113.0 - 22642.0 / 50085.0,
    125.0 / 192.0 - 451.0 / 720.0,
    -2187.0 / 6784.0 + 12231.0 / 42400.0,
    11.0 / 84.0 - 649.0 / 6300.0,
    -1.0 / 60.0,
];

/// The order whose error controls the step, plus one.
const EXPONENT: f64 = 1.0 / 5.0;

/// When a step of the adaptive solver is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConfig {
    /// Accepted error relative to the state; 1e-3 in SiT and RAE. Finite and at least 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub rtol: f64,
    /// Accepted absolute error; 1e-6 in SiT and RAE. Finite and above 0.
    pub atol: f64,
    /// Steps tried, accepted or not, before giving up with an error. At least 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_steps: usize,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self { rtol: 1e-3, atol: 1e-6, max_steps: 10_000 }
    }
}

impl AdaptiveConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Self { rtol, atol, max_steps } = *self;
        let valid = rtol.is_finite() && rtol >= 0.0;
        Problem::unless(&mut problems, valid, path, "rtol", rtol, "must be finite and at least 0");
        Problem::unless(&mut problems, atol.is_finite() && atol > 0.0, path, "atol", atol, "must be finite and > 0");
        let (inside, must) = ((1..=MOST_SAMPLES).contains(&max_steps), format!("must be in 1..={MOST_SAMPLES}"));
        Problem::unless(&mut problems, inside, path, "max_steps", max_steps, must);
        problems
    }
}

/// The state at the last of `times`, starting from `start` at the first, with steps chosen by their error.
///
/// The times may run in either direction. The error is the root mean square over the whole batch of
/// `error/(atol + rtol max(|x|, |x'|))`, so **a sample depends on the others in its batch**. The solver does not
/// stop at the requested times: it steps past them, the last one included, and interpolates (order 4). Official
/// guided runs hold every sample twice and judge both; only with [`GuidedChannels::FirstThree`](super::GuidedChannels)
/// do the two differ, so that the official code then takes slightly other steps.
/// # Errors
/// [`Error::Invalid`] if the times do not all increase or all decrease, if a value is not finite, or after
/// [`AdaptiveConfig::max_steps`].
pub fn solve_adaptive<const D: usize, V: VelocityField<D> + ?Sized>(
    field: &V,
    start: Tensor<D>,
    times: &[f64],
    config: &AdaptiveConfig,
    observe: &mut dyn FnMut(Reached<'_, D>),
) -> Result<Tensor<D>> {
    let steps = times.len().saturating_sub(1);
    if steps == 0 {
        return Ok(start);
    }
    let sign = if times[steps] < times[0] { -1.0 } else { 1.0 };
    if !times.windows(2).all(|ends| sign * ends[0] < sign * ends[1]) {
        return Err(Error::Invalid(format!("times {times:?}: must all increase or all decrease")));
    }
    let mut run = Run { field, sign, config, evaluations: 0, steps, index: 0 };
    let (mut time, mut state) = (sign * times[0], start);
    let mut slope = run.slope(state.clone(), time, time);
    let mut width = run.first_width(&state, &slope, time)?;
    let (mut piece, mut tried) = (None, 0);
    for (index, requested) in times.iter().enumerate().skip(1) {
        run.index = index - 1;
        while time < sign * requested {
            if tried == config.max_steps || time + width == time {
                let at = sign * time;
                let message =
                    format!("the adaptive solver stopped at time {at} after {tried} steps: stiff velocities?");
                return Err(Error::Invalid(message));
            }
            tried += 1;
            let slopes = run.slopes(&state, slope.clone(), time, width);
            let next = advance(state.clone(), &slopes[..6], Tableau::DORMAND_PRINCE.weights, width);
            let difference = advance(state.zeros_like(), &slopes, &ERROR, width);
            let ratio = run.norm(difference, state.clone().abs().max_pair(next.clone().abs()))?;
            if ratio <= 1.0 {
                let end = time + width;
                slope = slopes[6].clone();
                piece = Some(Piece { start: time, width: end - time, from: state, to: next.clone(), slopes });
                (time, state) = (end, next);
            }
            width *= match ratio {
                0.0 => 10.0,
                _ => (0.9 / ratio.powf(EXPONENT)).max(if ratio < 1.0 { 1.0 } else { 0.2 }).min(10.0),
            };
        }
        // The times increase, so the first of them already took a step.
        let Some(piece) = &piece else { continue };
        let reached = piece.at(sign * requested);
        let evaluations = run.evaluations;
        observe(Reached { step: index, steps, time: *requested, evaluations, state: &reached });
        if index == steps {
            return Ok(reached);
        }
    }
    Ok(state)
}

/// The equation with time running upwards.
struct Run<'a, V: ?Sized> {
    field: &'a V,
    sign: f64,
    config: &'a AdaptiveConfig,
    evaluations: usize,
    steps: usize,
    index: usize,
}

impl<V: ?Sized> Run<'_, V> {
    fn slope<const D: usize>(&mut self, x: Tensor<D>, time: f64, start: f64) -> Tensor<D>
    where
        V: VelocityField<D>,
    {
        self.evaluations += 1;
        let step = Step { index: self.index, count: self.steps, start: self.sign * start };
        let velocity = self.field.velocity_at(x, At::within(step, self.sign * time));
        if self.sign < 0.0 { velocity.neg() } else { velocity }
    }

    /// The six slopes of a step and the first of the next.
    fn slopes<const D: usize>(&mut self, state: &Tensor<D>, first: Tensor<D>, time: f64, width: f64) -> Vec<Tensor<D>>
    where
        V: VelocityField<D>,
    {
        let Tableau { nodes, matrix, weights, .. } = Tableau::DORMAND_PRINCE;
        let mut slopes = vec![first];
        let later = nodes.iter().zip(matrix).skip(1).map(|(node, row)| (*node, *row)).chain([(1.0, weights)]);
        for (node, row) in later {
            let stage = advance(state.clone(), &slopes, row, width);
            slopes.push(self.slope(stage, time + node * width, time));
        }
        slopes
    }

    /// Hairer's first guess, chapter II.4.
    fn first_width<const D: usize>(&mut self, state: &Tensor<D>, slope: &Tensor<D>, time: f64) -> Result<f64>
    where
        V: VelocityField<D>,
    {
        let size = state.clone().abs();
        let d0 = self.norm(state.clone(), size.clone())?;
        let d1 = self.norm(slope.clone(), size.clone())?;
        let small = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * d0 / d1 };
        let ahead = self.slope(state.clone() + slope.clone().mul_scalar(small), time + small, time);
        let d2 = self.norm(ahead - slope.clone(), size)? / small;
        let guess =
            if d1 <= 1e-15 && d2 <= 1e-15 { f64::max(1e-6, small * 1e-3) } else { (0.01 / d1.max(d2)).powf(EXPONENT) };
        Ok(guess.min(100.0 * small))
    }

    /// The root mean square of `x/(atol + rtol size)`.
    fn norm<const D: usize>(&self, x: Tensor<D>, size: Tensor<D>) -> Result<f64> {
        let scale = size.mul_scalar(self.config.rtol).add_scalar(self.config.atol);
        let norm = (x / scale).square().mean().into_scalar::<f64>().sqrt();
        if norm.is_finite() {
            return Ok(norm);
        }
        Err(Error::Invalid(format!("the adaptive solver met a value that is not finite (step norm {norm})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};

    fn start(value: f64) -> Tensor<1> {
        Tensor::full([1], value, (&Device::flex(), DType::F64))
    }

    /// The errors at the requested times on `dx/dt = x² cos t`, whose flow is `x0 / (1 − x0 sin t)`.
    fn errors(times: &[f64], rtol: f64) -> (Vec<f64>, usize) {
        let field = |x: Tensor<1>, t: f64| (x.clone() * x).mul_scalar(t.cos());
        let flow = |t: f64| 0.5 / (1.0 - 0.5 * t.sin());
        let config = AdaptiveConfig { rtol, atol: rtol * 1e-3, ..AdaptiveConfig::default() };
        let (mut errors, mut evaluations) = (vec![], 0);
        let _ = solve_adaptive(&field, start(flow(times[0])), times, &config, &mut |reached| {
            errors.push((reached.state.clone().into_scalar::<f64>() - flow(reached.time)).abs());
            evaluations = reached.evaluations;
        })
        .unwrap();
        (errors, evaluations)
    }

    #[test]
    fn the_error_follows_the_tolerance_at_every_requested_time_in_both_directions() {
        for times in [[0.0, 0.01, 0.3, 0.35, 1.0], [1.0, 0.9, 0.2, 0.1, 0.0]] {
            let mut before = 0;
            for rtol in [1e-4, 1e-6, 1e-8] {
                let (errors, evaluations) = errors(&times, rtol);
                assert_eq!(errors.len(), 4);
                assert!(errors.iter().all(|e| *e < 10.0 * rtol), "{rtol}: {errors:?}");
                assert!(evaluations > before && evaluations % 6 == 2, "{evaluations}");
                before = evaluations;
            }
        }
    }

    #[test]
    fn endless_work_and_values_that_are_not_finite_are_errors() {
        let run = |field: fn(Tensor<1>, f64) -> Tensor<1>, times: &[f64], max_steps| {
            let config = AdaptiveConfig { max_steps, ..AdaptiveConfig::default() };
            solve_adaptive(&field, start(1.0), times, &config, &mut |_| {}).map(|_| ()).map_err(|e| e.to_string())
        };
        assert!(run(|x, _| x, &[0.0, 1.0], 50).is_ok());
        assert!(run(|x, _| x, &[0.0, 1.0], 1).unwrap_err().contains("after 1 steps"));
        assert!(run(|x, t| x.mul_scalar(if t > 0.5 { f64::NAN } else { 1.0 }), &[0.0, 1.0], 50).is_err());
        assert!(run(|x, _| x.clone() * x, &[0.0, 2.0], 1000).is_err(), "infinite at time 1");
        assert!(run(|x, _| x, &[0.0, 1.0, 0.5], 50).unwrap_err().contains("increase"));
        assert!(run(|x, _| x.zeros_like(), &[0.0, 1.0], 50).is_ok());
    }

    #[test]
    fn a_single_time_moves_nothing() {
        let field = |x: Tensor<1>, _: f64| x;
        let end = solve_adaptive(&field, start(2.0), &[0.3], &AdaptiveConfig::default(), &mut |_| {}).unwrap();
        assert_eq!(end.into_scalar::<f64>(), 2.0);
    }
}
