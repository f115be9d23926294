//! Bootstrap: how often each sample is drawn in a resample. The same for every time, model and definition.
use crate::random::{Purpose, SampleKey};
use rand::RngExt;

/// The resamples of states and of ground-truth pairs; weights have mean 1.
#[derive(Debug, Clone)]
pub(super) struct Resamples {
    pub states: Vec<Vec<f64>>,
    pub pairs: Vec<Vec<f64>>,
}

impl Resamples {
    /// `count` resamples, functions of the seed.
    pub fn new(states: usize, pairs: usize, count: usize, seed: u64) -> Self {
        let draw = |size: usize, position: u64| {
            let mut weights = vec![0.0; size];
            let mut rng = SampleKey { seed, epoch: size as u64, position }.rng(Purpose::Bootstrap);
            (0..size).for_each(|_| weights[rng.random_range(0..size as u32) as usize] += 1.0);
            weights
        };
        let of = |size, first: u64| (0..count as u64).map(|i| draw(size, 2 * i + first)).collect();
        Self { states: of(states, 0), pairs: of(pairs, 1) }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        self.states.iter().zip(&self.pairs).map(|(states, pairs)| (states.as_slice(), pairs.as_slice()))
    }
}

/// What a definition finds at one time: s, and s of every resample.
#[derive(Debug, Clone)]
pub(super) struct Slowed {
    pub s: f64,
    pub draws: Vec<f64>,
    /// What t − s is for an exact field, where that is not zero and known.
    pub bias: Option<f64>,
}

/// `Σ w v / n` for weights of mean 1.
pub(super) fn weighted(weights: &[f64], values: &[f64]) -> f64 {
    weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / values.len() as f64
}

/// The `q` quantile, linear between order statistics.
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}
