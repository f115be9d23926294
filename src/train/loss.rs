//! What a prediction is compared with.
use crate::path::{Path, PathConfig, PredictionKind, TrainingInterval};
use crate::timestep::Timesteps;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// At which timestep the regression target is taken. On the linear path the velocity target is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetTime {
    /// The slowed timestep `m`: `u*(x_m, m)`, the paper's formula.
    #[default]
    Slowed,
    /// The training timestep `t`: `u*(x_t, t)`.
    Training,
}

/// SiT's weights of the squared error of a noise or score prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LossWeight {
    /// 1.
    #[default]
    Uniform,
    /// `(w/σ)²`: the error counts as one in the velocity.
    Velocity,
    /// `w/σ²`: the likelihood weight.
    Likelihood,
}

/// The regression loss of one sample: the weighted mean square error over its elements.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The path the data are interpolated on.
    pub path: Arc<dyn Path>,
    /// What the network predicts.
    pub prediction: PredictionKind,
    /// Where the target is taken.
    pub target: TargetTime,
    /// The weight of a noise or score error.
    pub weight: LossWeight,
    /// The times trained on: t and m are mapped linearly onto it from [0, 1].
    pub interval: TrainingInterval,
}

/// Velocity prediction on the linear path, at all times.
impl Default for Objective {
    fn default() -> Self {
        Self::new(PathConfig::Linear, PredictionKind::Velocity)
    }
}

impl Objective {
    /// The objective of a `prediction` on `path`: the paper's target, weight 1, the times of [`TrainingInterval::training`].
    pub fn new(path: PathConfig, prediction: PredictionKind) -> Self {
        Self {
            path: path.build(),
            prediction,
            target: TargetTime::Slowed,
            weight: LossWeight::Uniform,
            interval: TrainingInterval::training(path, prediction),
        }
    }

    /// The losses `[batch]` of `output` for data `x1`, noise `x0` and their timesteps.
    ///
    /// Velocity: `(v − α'x1 − σ'x0)²`; data: `(x̂1 − x1)²`; noise: `w (ε − x0)²`; score: `w (σ s + x0)²`.
    ///
    /// # Panics
    /// If `output` is not shaped like `data`: tensors would broadcast, and the loss would be of nonsense.
    pub fn loss<const D: usize>(
        &self,
        output: Tensor<D>,
        data: Tensor<D>,
        noise: Tensor<D>,
        timesteps: &[Timesteps],
    ) -> Tensor<1> {
        let times = self.target_times(timesteps);
        let n = times.len();
        let square = self.squared_error(output, data, noise, &times);
        let loss = square.reshape([n as i32, -1]).mean_dim(1).reshape([n as i32]);
        self.weighed(loss, &times)
    }

    /// The same with a weight of every element, `Σ w e² / Σ w`; 0 for a sample whose weights are all 0.
    ///
    /// `weight` is shaped like the data, or 1 in dimensions it does not depend on, and at least 0.
    ///
    /// # Panics
    /// As [`loss`](Self::loss).
    pub fn weighted_loss<const D: usize>(
        &self,
        output: Tensor<D>,
        data: Tensor<D>,
        noise: Tensor<D>,
        timesteps: &[Timesteps],
        weight: Tensor<D>,
    ) -> Tensor<1> {
        let times = self.target_times(timesteps);
        let n = times.len();
        let square = self.squared_error(output, data, noise, &times);
        let weight = weight.expand(square.dims());
        let sum = |x: Tensor<D>| x.reshape([n as i32, -1]).sum_dim(1).reshape([n as i32]);
        let total: Tensor<1> = sum(weight.clone());
        self.weighed(sum(square * weight) / total.clamp_min(f32::MIN_POSITIVE), &times)
    }

    fn target_times(&self, timesteps: &[Timesteps]) -> Vec<f32> {
        let time = |pair: &Timesteps| match self.target {
            TargetTime::Slowed => pair.slowed,
            TargetTime::Training => pair.training,
        };
        timesteps.iter().map(time).collect()
    }

    fn squared_error<const D: usize>(
        &self,
        output: Tensor<D>,
        data: Tensor<D>,
        noise: Tensor<D>,
        times: &[f32],
    ) -> Tensor<D> {
        let (found, shape) = (output.dims(), data.dims());
        assert!(
            found == shape,
            "the network predicts {found:?} for data {shape:?}: equal shapes, or the loss broadcasts"
        );
        let path = self.path.as_ref();
        let error = match self.prediction {
            PredictionKind::Score => {
                let sigma = per_sample::<D>(times, |t| path.coefficients(t).sigma, &output);
                output * sigma + noise
            }
            kind => output - kind.target(path, data, noise, times),
        };
        error.square()
    }

    fn weighed(&self, loss: Tensor<1>, times: &[f32]) -> Tensor<1> {
        let path = self.path.as_ref();
        match self.weight {
            LossWeight::Uniform => loss,
            LossWeight::Velocity => loss.clone() * per_sample::<1>(times, |t| path.velocity_weight(t), &loss),
            LossWeight::Likelihood => loss.clone() * per_sample::<1>(times, |t| path.likelihood_weight(t), &loss),
        }
    }
}

fn per_sample<const D: usize>(times: &[f32], value: impl Fn(f64) -> f64, like: &Tensor<D>) -> Tensor<D> {
    let values: Vec<f32> = times.iter().map(|&t| value(f64::from(t)) as f32).collect();
    let mut shape = [1; D];
    shape[0] = values.len();
    Tensor::from_data(TensorData::new(values, shape), &like.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};
    use burn::tensor::Device;

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    /// Two sequences of 5 tokens of which the first `kept` count, against the sequences cut off there.
    fn check(objective: &Objective, kept: [usize; 2]) {
        let device = Device::flex();
        let draw = |purpose| Tensor::<3>::from_data(normal(&SampleKey::batch(1, 0, 2), purpose, &[5, 3]), &device);
        let (data, noise, output) = (draw(Purpose::Data), draw(Purpose::Noise), draw(Purpose::Weights));
        let times = [(0.5, 0.4), (0.9, 0.7)].map(|(training, slowed)| Timesteps { training, slowed });
        let mask: Vec<f32> = kept.iter().flat_map(|k| (0..5).map(move |i| f32::from(u8::from(i < *k)))).collect();
        let mask = Tensor::<3>::from_data(TensorData::new(mask, [2, 5, 1]), &device);
        let args = || (output.clone(), data.clone(), noise.clone());
        let (o, d, n) = args();
        let found = values(objective.weighted_loss(o, d, n, &times, mask));
        for (i, kept) in kept.into_iter().enumerate() {
            if kept == 0 {
                assert_eq!(found[i], 0.0);
                continue;
            }
            let cut = |x: Tensor<3>| x.narrow(0, i, 1).narrow(1, 0, kept);
            let (o, d, n) = args();
            let expected = values(objective.loss(cut(o), cut(d), cut(n), &times[i..=i]))[0];
            assert!((found[i] - expected).abs() < 1e-5 * expected, "{} is not {expected}", found[i]);
        }
    }

    #[test]
    #[should_panic(expected = "[2, 1] for data [2, 4]")]
    fn a_prediction_that_would_broadcast_is_refused() {
        let tensor = |size| Tensor::<2>::ones([2, size], &Device::flex());
        let times = [Timesteps { training: 0.5, slowed: 0.5 }; 2];
        Objective::default().loss(tensor(1), tensor(4), tensor(4), &times);
    }

    #[test]
    fn masked_padding_is_padding_cut_off() {
        for kind in [PredictionKind::Velocity, PredictionKind::Noise, PredictionKind::Score] {
            for weight in [LossWeight::Uniform, LossWeight::Likelihood] {
                let objective = Objective { weight, ..Objective::new(PathConfig::Linear, kind) };
                [[5, 2], [1, 3], [0, 4]].into_iter().for_each(|kept| check(&objective, kept));
            }
        }
    }

    #[test]
    fn weights_of_one_are_no_weights_at_any_rank() {
        let device = Device::flex();
        let times = [Timesteps { training: 0.5, slowed: 0.25 }];
        let objective = Objective::default();
        let vector = |scale: f32| Tensor::<2>::from_floats([[0.5, -1.0, 2.0, 0.25]], &device) * scale;
        let plain = values(objective.loss(vector(1.0), vector(0.5), vector(-1.0), &times))[0];
        let ones = Tensor::<2>::ones([1, 1], &device);
        let found = values(objective.weighted_loss(vector(1.0), vector(0.5), vector(-1.0), &times, ones))[0];
        assert!((found - plain).abs() < 1e-6 * plain);
        let image = |scale: f32| vector(scale).reshape([1, 1, 2, 2]);
        let ones = Tensor::<4>::ones([1, 1, 2, 1], &device) * 3.0;
        let found = values(objective.weighted_loss(image(1.0), image(0.5), image(-1.0), &times, ones))[0];
        assert!((found - plain).abs() < 1e-6 * plain);
    }
}
