//! The random numbers of one batch: noise, timesteps, condition dropout.
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey, normal};
use crate::timestep::{TimestepStrategy, Timesteps};
use burn::tensor::{Device, Tensor};
use rand::RngExt;

/// What is drawn for one training batch, a pure function of its keys.
#[derive(Debug, Clone)]
pub struct Draws<const D: usize> {
    /// The noise `x0`, shaped like the data.
    pub noise: Tensor<D>,
    /// The training and slowed timestep of each sample.
    pub timesteps: Vec<Timesteps>,
    /// Which samples lose their condition; empty when dropout is off.
    pub dropped: Vec<bool>,
}

impl<const D: usize> Draws<D> {
    /// Draws for `shape = [batch, ...]`; `dropout` is the probability of losing the condition.
    pub fn new(
        keys: &[SampleKey],
        shape: [usize; D],
        strategy: &dyn TimestepStrategy,
        interval: TrainingInterval,
        dropout: f64,
        device: &Device,
    ) -> Self {
        let noise = Tensor::from_data(normal(keys, Purpose::Noise, &shape[1..]), device);
        let map = |t: f32| interval.map(f64::from(t)) as f32;
        let timesteps = keys
            .iter()
            .map(|key| strategy.sample(&mut key.rng(Purpose::Timesteps)))
            .map(|t| Timesteps { training: map(t.training), slowed: map(t.slowed) })
            .collect();
        let dropped = if dropout > 0.0 {
            keys.iter().map(|key| key.rng(Purpose::ConditionDropout).random::<f64>() < dropout).collect()
        } else {
            Vec::new()
        };
        Self { noise, timesteps, dropped }
    }
}
