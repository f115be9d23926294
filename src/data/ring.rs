//! A ring of Gaussians: modes on a circle in the first two of D dimensions, normal noise in all.
//!
//! Its exact velocity field is known, and D decides how well a state tells its own noise level.
use super::memory::Numbered;
use super::{DataSet, DataSplit};
use crate::random::{Purpose, SampleKey};
use crate::{Problem, Result};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Slowed timesteps that the exact field averages over.
const POINTS: usize = 32;
const MOST: usize = 1_000_000;
/// Keeps the streams of held-out vectors apart from those of training vectors.
const HELD_OUT: u64 = 1 << 63;

/// The law and how much of it is drawn. A vector is an image `[D, 1, 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RingConfig {
    /// D, at least 2 and at most 4096.
    #[cfg_attr(feature = "schema", schemars(range(min = 2, max = 4096)))]
    pub dimension: usize,
    /// Gaussians on the circle, at least 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub modes: usize,
    /// The radius of the circle; finite, at least 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub radius: f64,
    /// The standard deviation of every value around its mode; finite, > 0.
    pub deviation: f64,
    /// Number of training vectors, in 1..=1000000.
    pub train: usize,
    /// Number of held-out vectors, in 2..=1000000.
    pub held_out: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { dimension: 2, modes: 8, radius: 1.5, deviation: 0.1, train: 20_000, held_out: 4_000, seed: 0 }
    }
}

impl RingConfig {
    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let within = |problems: &mut Vec<Problem>, key: &str, n: usize, range: std::ops::RangeInclusive<usize>| {
            Problem::unless(problems, range.contains(&n), path, key, n, format!("must be in {range:?}"));
        };
        within(&mut problems, "dimension", self.dimension, 2..=4096);
        within(&mut problems, "modes", self.modes, 1..=1000);
        let (radius, deviation) = (self.radius, self.deviation);
        let valid = radius.is_finite() && radius >= 0.0;
        Problem::unless(&mut problems, valid, path, "radius", radius, "must be finite and at least 0");
        let valid = deviation.is_finite() && deviation > 0.0;
        Problem::unless(&mut problems, valid, path, "deviation", deviation, "must be finite and > 0");
        within(&mut problems, "train", self.train, 1..=MOST);
        within(&mut problems, "held_out", self.held_out, 2..=MOST);
        problems
    }

    /// The first two values of the centre of mode `k`; the others are 0.
    pub fn centre(&self, k: usize) -> [f64; 2] {
        let angle = TAU * k as f64 / self.modes as f64;
        [self.radius * angle.cos(), self.radius * angle.sin()]
    }

    /// The exact velocity on the linear path at `x` `[D]`, averaged over the posterior of a slowed timestep: what
    /// post-training with `m ~ U[(1−γ)t, t]` aims at; the field itself for γ = 0.
    ///
    /// `v*(x, m) = Σ_k w_k [μ_k + c (x − m μ_k)]` with `V = (1−m)² + (m s)²`, `c = (m s² − (1−m))/V` and `w` the softmax
    /// of `−|x − m μ_k|²/(2V)`; `u_γ(x, t) = Σ_j p_j(x) v*(x, m_j) / Σ_j p_j(x)` over 32 midpoints `m_j` of the interval.
    pub fn velocity(&self, x: &[f32], t: f64, gamma: f64) -> Vec<f32> {
        let points = if gamma > 0.0 { POINTS } else { 1 };
        let square: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        let first = [x[0], x[1]].map(f64::from);
        let variance = self.deviation * self.deviation;
        let at = |j: usize| {
            let m = t * (1.0 - gamma * (j as f64 + 0.5) / points as f64);
            let total = (1.0 - m).powi(2) + m * m * variance;
            let logits: Vec<f64> = (0..self.modes)
                .map(|k| {
                    let centre = self.centre(k);
                    let along = first[0] * centre[0] + first[1] * centre[1];
                    -(square - 2.0 * m * along + (m * self.radius).powi(2)) / (2.0 * total)
                })
                .collect();
            let (weights, log_sum) = softmax(&logits);
            let mut mode = [0.0; 2];
            for (k, weight) in weights.iter().enumerate() {
                let centre = self.centre(k);
                mode = [mode[0] + weight * centre[0], mode[1] + weight * centre[1]];
            }
            let c = (m * variance - (1.0 - m)) / total;
            let shift = mode.map(|value| (1.0 - c * m) * value);
            (log_sum - 0.5 * self.dimension as f64 * total.ln(), c, shift)
        };
        let all: Vec<_> = (0..points).map(at).collect();
        let (weights, _) = softmax(&all.iter().map(|(log, ..)| *log).collect::<Vec<f64>>());
        let (mut scale, mut shift) = (0.0, [0.0; 2]);
        for (weight, (_, c, s)) in weights.iter().zip(&all) {
            scale += weight * c;
            shift = [shift[0] + weight * s[0], shift[1] + weight * s[1]];
        }
        x.iter().enumerate().map(|(i, v)| (scale * f64::from(*v) + shift.get(i).unwrap_or(&0.0)) as f32).collect()
    }

    fn draw(&self, position: u64) -> Vec<f32> {
        let mut rng = SampleKey { seed: self.seed, epoch: 0, position }.rng(Purpose::Data);
        let centre = self.centre(rng.random_range(0..self.modes));
        let value = |i: usize| {
            let normal: f64 = StandardNormal.sample(&mut rng);
            (centre.get(i).unwrap_or(&0.0) + self.deviation * normal) as f32
        };
        (0..self.dimension).map(value).collect()
    }
}

/// The softmax and the logarithm of its denominator.
fn softmax(logits: &[f64]) -> (Vec<f64>, f64) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let terms: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f64 = terms.iter().sum();
    (terms.into_iter().map(|term| term / sum).collect(), top + sum.ln())
}

/// Draws both sets. `config` has no problems.
pub(super) fn load(config: &RingConfig) -> Result<DataSplit> {
    let shape = [config.dimension, 1, 1];
    let set = |what, count: usize, offset: u64| {
        let values = (0..count as u64).flat_map(|i| config.draw(offset + i)).collect();
        DataSet::named(shape, values, vec![0; count], (0..count).collect(), Arc::new(Numbered(what)))
    };
    let (train, held_out) = (set("vector", config.train, 0)?, set("held-out vector", config.held_out, HELD_OUT)?);
    Ok(DataSplit::new(train, held_out, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_are_those_of_the_law() {
        let config = RingConfig { dimension: 8, train: 20_000, held_out: 10, ..Default::default() };
        let split = load(&config).unwrap();
        let values = split.train.in_memory().unwrap();
        let square = |i: usize| values.iter().skip(i).step_by(8).map(|v| f64::from(*v).powi(2)).sum::<f64>() / 20_000.0;
        // On the circle: 1.5²/2 + 0.1²; elsewhere 0.1².
        for i in 0..8 {
            let expected = if i < 2 { 1.135 } else { 0.01 };
            assert!((square(i) / expected - 1.0).abs() < 0.05, "{i}: {}", square(i));
        }
        assert_eq!(split.shape, [8, 1, 1]);
    }

    /// Values of the formula computed directly, mode by mode and value by value.
    #[test]
    fn the_field_is_its_formula() {
        let ring = RingConfig { dimension: 3, modes: 5, ..Default::default() };
        let (x, s) = ([0.7f32, -0.4, 0.05], 0.1f64);
        let direct = |m: f64| {
            let total = (1.0 - m).powi(2) + (m * s).powi(2);
            let c = (m * s * s - (1.0 - m)) / total;
            let centre = |k: usize| {
                let [a, b] = ring.centre(k);
                [a, b, 0.0]
            };
            let term = |k: usize| {
                let square: f64 = x.iter().zip(centre(k)).map(|(x, mu)| (f64::from(*x) - m * mu).powi(2)).sum();
                (-square / (2.0 * total)).exp() / total.powf(1.5)
            };
            let density: f64 = (0..5).map(term).sum();
            let value = |i: usize| -> f64 {
                let one = |k: usize| term(k) * (centre(k)[i] + c * (f64::from(x[i]) - m * centre(k)[i]));
                (0..5).map(one).sum::<f64>() / density
            };
            (density, [value(0), value(1), value(2)])
        };
        for (found, expected) in ring.velocity(&x, 0.6, 0.0).iter().zip(direct(0.6).1) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
        }
        let points: Vec<_> = (0..32).map(|j| direct(0.6 * (1.0 - 0.5 * (j as f64 + 0.5) / 32.0))).collect();
        let total: f64 = points.iter().map(|(density, _)| density).sum();
        for (i, found) in ring.velocity(&x, 0.6, 0.5).into_iter().enumerate() {
            let expected = points.iter().map(|(density, v)| density * v[i]).sum::<f64>() / total;
            assert!((f64::from(found) - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn both_sets_are_apart_and_a_function_of_the_seed() {
        let load = |seed| load(&RingConfig { train: 5, held_out: 5, seed, ..Default::default() }).unwrap();
        assert_eq!(load(1).train.in_memory().unwrap(), load(1).train.in_memory().unwrap());
        assert_ne!(load(1).train.in_memory().unwrap(), load(2).train.in_memory().unwrap());
        assert_ne!(load(1).train.in_memory().unwrap(), load(1).held_out.in_memory().unwrap());
    }
}
