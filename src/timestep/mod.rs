//! The paper: which timestep the network is told, and at which slowed timestep its input really is.
//!
//! | name | law of the training timestep `t` | law of the slowed timestep `m` |
//! |---|---|---|
//! | `standard` | U\[0, 1\] | `m = t` |
//! | `mixflow` | Beta(2, 1) | U\[(1−γ)t, t\] |
//!
//! Under MixFlow the pairs (m, t) are uniform on the wedge `(1−γ)t ≤ m ≤ t`, so no timestep is
//! favoured ([arXiv 2512.19311](https://arxiv.org/abs/2512.19311)). A [`TimeShift`] acts on `t` after
//! its draw and before `m`, which gives that uniformity up. The ablations are further products of a
//! [`Density`] and a [`Slowing`]: [`StrategyConfig`] names them and spells any other. A strategy that
//! is not a product, or that [changes](TimestepStrategy::at) over the training, implements [`TimestepStrategy`].
//! ```
//! use burn_mixflow::random::{Purpose, SampleKey};
//! use burn_mixflow::timestep::StrategyConfig;
//!
//! let strategy = StrategyConfig::mixflow(0.8).build(None)?;
//! let key = SampleKey { seed: 7, epoch: 0, position: 0 };
//! let pair = strategy.sample(&mut key.rng(Purpose::Timesteps));
//! assert!(pair.slowed <= pair.training);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
mod config;
mod decaying;
mod density;
mod few;
mod gammas;
mod heights;
mod normal;
mod product;
mod shift;
mod slowing;
#[cfg(test)]
mod statistics;
mod truncation;

pub use config::StrategyConfig;
pub use decaying::GammaDecay;
pub use density::Density;
pub use gammas::Gammas;
pub use heights::Heights;
pub use product::Product;
pub use shift::TimeShift;
pub use slowing::Slowing;
pub use truncation::Truncation;

use std::fmt::Debug;
use std::sync::Arc;

/// The two timesteps of one training sample, both in [0, 1] (0 noise, 1 data).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timesteps {
    /// The timestep `t` the network is told.
    pub training: f32,
    /// The slowed timestep `m` its input is interpolated at.
    pub slowed: f32,
}

/// Draws the pair of timesteps of one sample.
pub trait TimestepStrategy: Debug + Send + Sync {
    /// One pair; equal generators give equal pairs.
    fn sample(&self, rng: &mut dyn rand::Rng) -> Timesteps;

    /// The strategy when the part `progress` in [0, 1] of the training is done, 0 at its first step and 1 at its last: for a
    /// strategy that changes over the training, at every `progress`. `None` for one that does not.
    fn at(&self, progress: f64) -> Option<Arc<dyn TimestepStrategy>> {
        let _ = progress;
        None
    }
}
