//! Medians, and how sure one can be of them.
use crate::median::median;
use burn_mixflow::random::{Purpose, SampleKey};
use rand::RngExt;

/// Resamples of the bootstrap.
const RESAMPLES: u64 = 2000;

/// A median, and what it lies between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub middle: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// The median of `values`, with the smallest and the largest.
    pub fn of(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { middle: median(values), least, most }
    }

    /// The median of `values`, with the interval that holds 95 % of the medians of resamples.
    pub fn bootstrapped(values: &[f64]) -> Self {
        let resampled = |position| {
            let mut rng = SampleKey { seed: 0, epoch: 0, position }.rng(Purpose::Bootstrap);
            let drawn: Vec<f64> = values.iter().map(|_| values[rng.random_range(0..values.len())]).collect();
            median(&drawn)
        };
        let mut medians: Vec<f64> = (0..RESAMPLES).map(resampled).collect();
        medians.sort_by(f64::total_cmp);
        let at = |fraction: f64| medians[(fraction * (medians.len() - 1) as f64).round() as usize];
        Self { middle: median(values), least: at(0.025), most: at(0.975) }
    }
}
