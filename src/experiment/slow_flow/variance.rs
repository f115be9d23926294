//! `variance`: the s nearest to t with `α² tr Var x1 + σ² tr Var x0 = tr Var x`; where there is none, the nearest variance.
use super::pairs::mean;
use super::resample::{Resamples, Slowed, weighted};
use super::truth::GroundTruth;
use crate::path::Path;
use crate::statistics::mean as average;

/// Values of s looked at between 0 and 1, before the crossing is taken linearly.
const POINTS: usize = 400;

pub(super) fn slowed(truth: &GroundTruth, states: &[f32], t: f64, resamples: &Resamples) -> Slowed {
    let dim = truth.dim;
    let (of_data, of_noise, of_states) = (squares(&truth.data, dim), squares(&truth.noise, dim), squares(states, dim));
    let cross = cross(truth);
    let path = truth.path.as_ref();
    let s = nearest(path, t, [average(&of_data), average(&of_noise), average(&cross), average(&of_states)]);
    let draw = |(w, v): (&[f64], &[f64])| {
        let parts = [weighted(v, &of_data), weighted(v, &of_noise), weighted(v, &cross), weighted(w, &of_states)];
        nearest(path, t, parts)
    };
    Slowed { s, draws: resamples.iter().map(draw).collect(), bias: None }
}

fn nearest(path: &dyn Path, t: f64, [data, noise, cross, states]: [f64; 4]) -> f64 {
    let excess = |s: f64| {
        let c = path.coefficients(s);
        c.alpha * c.alpha * data + c.sigma * c.sigma * noise + 2.0 * c.alpha * c.sigma * cross - states
    };
    let at = |i: usize| i as f64 / POINTS as f64;
    let values: Vec<f64> = (0..=POINTS).map(|i| excess(at(i))).collect();
    let crossing = |i: usize| {
        let (low, high) = (values[i], values[i + 1]);
        (low * high <= 0.0 && low != high).then(|| at(i) + low / (low - high) / POINTS as f64)
    };
    let nearer = |a: f64, b: f64| if (a - t).abs() <= (b - t).abs() { a } else { b };
    (0..POINTS).filter_map(crossing).reduce(nearer).unwrap_or_else(|| {
        at((0..=POINTS).fold(0, |best, i| if values[i].abs() < values[best].abs() { i } else { best }))
    })
}

/// The squared distance of each vector to their mean.
fn squares(values: &[f32], dim: usize) -> Vec<f64> {
    let centre = mean(values, dim);
    let square = |x: &[f32]| x.iter().zip(&centre).map(|(x, c)| f64::from(x - c).powi(2)).sum();
    values.chunks_exact(dim).map(square).collect()
}

/// What chance correlates data and noise of the pairs.
fn cross(truth: &GroundTruth) -> Vec<f64> {
    let dim = truth.dim;
    let (data, noise) = (mean(&truth.data, dim), mean(&truth.noise, dim));
    let pairs = truth.data.chunks_exact(dim).zip(truth.noise.chunks_exact(dim));
    let product =
        |(x1, x0): (&[f32], &[f32])| (0..dim).map(|i| f64::from(x1[i] - data[i]) * f64::from(x0[i] - noise[i])).sum();
    pairs.map(product).collect()
}
