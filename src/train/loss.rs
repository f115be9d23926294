//! What a prediction is compared with.
use crate::path::{Path, PredictionKind, TrainingInterval};
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

impl Objective {
    /// The losses `[batch]` of `output` for data `x1`, noise `x0` and their timesteps.
    ///
    /// Velocity: `(v − α'x1 − σ'x0)²`; data: `(x̂1 − x1)²`; noise: `w (ε − x0)²`; score: `w (σ s + x0)²`.
    pub fn loss<const D: usize>(
        &self,
        output: Tensor<D>,
        data: Tensor<D>,
        noise: Tensor<D>,
        timesteps: &[Timesteps],
    ) -> Tensor<1> {
        let times: Vec<f32> = timesteps
            .iter()
            .map(|t| match self.target {
                TargetTime::Slowed => t.slowed,
                TargetTime::Training => t.training,
            })
            .collect();
        let path = self.path.as_ref();
        let error = match self.prediction {
            PredictionKind::Score => {
                let sigma = per_sample::<D>(&times, |t| path.coefficients(t).sigma, &output);
                output * sigma + noise
            }
            kind => output - kind.target(path, data, noise, &times),
        };
        let n = times.len();
        let loss = error.square().reshape([n as i32, -1]).mean_dim(1).reshape([n as i32]);
        match self.weight {
            LossWeight::Uniform => loss,
            LossWeight::Velocity => loss.clone() * per_sample::<1>(&times, |t| path.velocity_weight(t), &loss),
            LossWeight::Likelihood => loss.clone() * per_sample::<1>(&times, |t| path.likelihood_weight(t), &loss),
        }
    }
}

fn per_sample<const D: usize>(times: &[f32], value: impl Fn(f64) -> f64, like: &Tensor<D>) -> Tensor<D> {
    let values: Vec<f32> = times.iter().map(|&t| value(f64::from(t)) as f32).collect();
    let mut shape = [1; D];
    shape[0] = values.len();
    Tensor::from_data(TensorData::new(values, shape), &like.device())
}
