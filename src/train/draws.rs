//! The random numbers of one batch: noise, timesteps, condition dropout.
use super::DrawnNoise;
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey};
use crate::timestep::{TimestepStrategy, Timesteps};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

/// What is drawn for one training batch, a pure function of its keys.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_mixflow::path::{PathConfig, interpolate};
/// use burn_mixflow::random::SampleKey;
/// use burn_mixflow::timestep::StrategyConfig;
/// use burn_mixflow::train::Draws;
///
/// let strategy = StrategyConfig::mixflow(0.4).build(None)?;
/// let data = Tensor::<2>::zeros([8, 3], &Device::flex());
/// let draws = Draws::of(&SampleKey::batch(0, 0, 8), &data, strategy.as_ref());
/// let noisy = interpolate(&PathConfig::Linear, data, draws.noise.clone(), &draws.slowed());
/// assert_eq!((noisy.dims(), draws.training(&Device::flex()).dims()), ([8, 3], [8]));
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Draws<const D: usize> {
    /// The noise `x0`, shaped like the data.
    pub noise: Tensor<D>,
    /// The training and slowed timestep of each sample.
    pub timesteps: Vec<Timesteps>,
    /// Which samples lose their condition; none unless [`with_dropout`](Self::with_dropout) says so.
    pub dropped: Vec<bool>,
}

impl<const D: usize> Draws<D> {
    /// Draws for `data` `[batch, ...]`, one key for each sample, on the device of the data.
    pub fn of(keys: &[SampleKey], data: &Tensor<D>, strategy: &dyn TimestepStrategy) -> Self {
        Self::with_noise(keys, data, None, strategy)
    }

    /// The same, with the noise of these keys if somebody drew it already: `batch.noise.take()` of a batch of an
    /// [`EpochLoader`](super::EpochLoader).
    pub fn with_noise(
        keys: &[SampleKey],
        data: &Tensor<D>,
        noise: Option<DrawnNoise<D>>,
        strategy: &dyn TimestepStrategy,
    ) -> Self {
        Self::with_timesteps(keys, data, noise, |key| strategy.sample(&mut key.rng(Purpose::Timesteps)))
    }

    /// The draws of validation: `t ~ U`, `m = t`, whatever the strategy of training, so that losses compare.
    pub(super) fn of_validation(keys: &[SampleKey], data: &Tensor<D>, noise: Option<DrawnNoise<D>>) -> Self {
        Self::with_timesteps(keys, data, noise, |key| {
            let t = key.rng(Purpose::Timesteps).random::<f32>();
            Timesteps { training: t, slowed: t }
        })
    }

    fn with_timesteps(
        keys: &[SampleKey],
        data: &Tensor<D>,
        noise: Option<DrawnNoise<D>>,
        pair: impl Fn(&SampleKey) -> Timesteps,
    ) -> Self {
        let noise = DrawnNoise::or_drawn(noise, keys, data);
        Self { noise, timesteps: keys.iter().map(pair).collect(), dropped: vec![false; keys.len()] }
    }

    /// Maps both timesteps linearly from [0, 1] onto `interval`.
    pub fn with_interval(mut self, interval: TrainingInterval) -> Self {
        let map = |t: f32| interval.map(f64::from(t)) as f32;
        for pair in &mut self.timesteps {
            *pair = Timesteps { training: map(pair.training), slowed: map(pair.slowed) };
        }
        self
    }

    /// Drops conditions with this probability in [0, 1], by the same keys.
    pub fn with_dropout(mut self, keys: &[SampleKey], probability: f64) -> Self {
        if probability > 0.0 {
            let lost = |key: &SampleKey| key.rng(Purpose::ConditionDropout).random::<f64>() < probability;
            self.dropped = keys.iter().map(lost).collect();
        }
        self
    }

    /// The training timesteps `[batch]`, which the network is told.
    pub fn training(&self, device: &Device) -> Tensor<1> {
        let told: Vec<f32> = self.timesteps.iter().map(|pair| pair.training).collect();
        let count = told.len();
        Tensor::from_data(TensorData::new(told, [count]), device)
    }

    /// The slowed timesteps, at which [`interpolate`](crate::path::interpolate) makes the input of the network.
    pub fn slowed(&self) -> Vec<f32> {
        self.timesteps.iter().map(|pair| pair.slowed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestep::StrategyConfig;

    #[test]
    fn nothing_is_dropped_without_dropout_and_all_with_certainty() {
        let (keys, data) = (SampleKey::batch(3, 1, 5), Tensor::<2>::zeros([5, 2], &Device::flex()));
        let draws = Draws::of(&keys, &data, StrategyConfig::mixflow(0.5).build(None).unwrap().as_ref());
        assert_eq!(draws.dropped, [false; 5]);
        let dropped = draws.clone().with_dropout(&keys, 1.0);
        assert_eq!((dropped.dropped, dropped.timesteps), (vec![true; 5], draws.timesteps.clone()));
    }

    #[test]
    fn an_interval_moves_both_timesteps() {
        let (keys, data) = (SampleKey::batch(3, 1, 5), Tensor::<2>::zeros([5, 2], &Device::flex()));
        let draws = Draws::of(&keys, &data, StrategyConfig::mixflow(0.5).build(None).unwrap().as_ref());
        let whole = draws.clone().with_interval(TrainingInterval { start: 0.0, end: 1.0 });
        assert_eq!(whole.timesteps, draws.timesteps);
        let part = draws.clone().with_interval(TrainingInterval { start: 0.25, end: 0.75 });
        for (part, whole) in part.timesteps.iter().zip(&draws.timesteps) {
            assert_eq!(part.slowed, (0.25 + f64::from(whole.slowed) * 0.5) as f32);
            assert_eq!(part.training, (0.25 + f64::from(whole.training) * 0.5) as f32);
        }
    }
}
