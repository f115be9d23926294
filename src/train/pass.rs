//! One pass of a network over a batch: `x_m`, `predict(x_m, t)`, the regression loss.
use super::{Draws, Fault, Objective};
use crate::network::{PredictionNetwork, predict};
use crate::path::interpolate;
use crate::random::SampleKey;
use crate::timestep::Timesteps;
use burn::tensor::Tensor;

/// What a batch brings besides its data and noise.
#[derive(Debug)]
pub(super) struct Given<'a, C> {
    /// One condition per sample, the dropped ones replaced.
    pub condition: &'a C,
    /// One key per sample.
    pub keys: &'a [SampleKey],
    /// One pair per sample.
    pub timesteps: &'a [Timesteps],
}

/// What the network is shown, and what its target is made of.
#[derive(Debug)]
pub(super) struct Shown<const D: usize> {
    /// The network's input.
    pub noisy: Tensor<D>,
    /// The noise of the target.
    pub noise: Tensor<D>,
}

/// What the network was shown, what its target is made of, and what it said.
#[derive(Debug, Clone)]
pub(super) struct Predicted<const D: usize> {
    /// The network's input.
    pub noisy: Tensor<D>,
    /// The noise of the target.
    pub noise: Tensor<D>,
    /// The network's output.
    pub output: Tensor<D>,
}

/// What a batch brings to one pass besides its draws.
#[derive(Debug)]
pub(super) struct Samples<'a, const D: usize, C> {
    /// The data `x1`.
    pub data: Tensor<D>,
    /// How much each element counts.
    pub weight: Option<Tensor<D>>,
    /// The conditions.
    pub condition: &'a C,
}

/// The outcome of one pass.
#[derive(Debug)]
pub(super) struct Evaluated<const D: usize> {
    /// The regression losses `[batch]`.
    pub loss: Tensor<1>,
    /// The network's auxiliary loss `[1]`.
    pub auxiliary: Option<Tensor<1>>,
    /// Input, noise and output.
    pub predicted: Predicted<D>,
}

/// Shows `shown`, or the exact interpolation at the slowed timesteps, and compares.
pub(super) fn evaluate<N: PredictionNetwork<D>, const D: usize>(
    network: &N,
    objective: &Objective,
    samples: Samples<'_, D, N::Condition>,
    draws: &Draws<D>,
    shown: Option<Shown<D>>,
) -> Result<Evaluated<D>, Fault> {
    let Samples { data, weight, condition } = samples;
    let told = draws.training(&data.device());
    let Shown { noisy, noise } = shown.unwrap_or_else(|| {
        let noise = draws.noise.clone();
        Shown { noisy: interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &draws.slowed()), noise }
    });
    let prediction = predict(network, noisy.clone(), told, condition)?;
    let output = prediction.output;
    let loss = match weight {
        None => objective.loss(output.clone(), data, noise.clone(), &draws.timesteps),
        Some(weight) => {
            let (found, shape) = (weight.dims(), data.dims());
            if found[0] != shape[0] || found.iter().zip(&shape).any(|(w, d)| w != d && *w != 1) {
                return Err(Fault::WeightShape { found: found.to_vec(), data: shape.to_vec() });
            }
            objective.weighted_loss(output.clone(), data, noise.clone(), &draws.timesteps, weight)
        }
    };
    Ok(Evaluated { loss, auxiliary: prediction.auxiliary_loss, predicted: Predicted { noisy, noise, output } })
}
