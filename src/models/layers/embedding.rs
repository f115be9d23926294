//! The told timestep as a vector: sinusoidal features [cos(t f_i), sin(t f_i)] and a two-layer network.
use super::init::{Law, WeightInit};
use super::linear;
use crate::ops::silu;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{DType, FloatDType, Tensor, TensorData};

const MAX_PERIOD: f64 = 10_000.0;

/// Features `[batch, 2 * half]` of timesteps `[batch]`: cos(t f_i) then sin(t f_i), f_i = 10000^(−i / half), in f32.
///
/// Official SiT code (`models.py`, `TimestepEmbedder`): the cosines come first and t is not scaled.
pub fn sinusoidal(timestep: Tensor<1>, half: usize) -> Tensor<2> {
    let rate = -(MAX_PERIOD.ln()) as f32;
    let frequencies: Vec<f32> = (0..half).map(|i| (rate * i as f32 / half as f32).exp()).collect();
    let device = timestep.device();
    let frequencies = Tensor::<1>::from_data(TensorData::from(frequencies.as_slice()), (&device, DType::F32));
    let angles = timestep.cast(FloatDType::F32).unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0);
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// Linear(SiLU(Linear(features))), from sinusoidal features to the width of the network.
#[derive(Module, Debug)]
pub struct TimestepEmbedding {
    first: Linear,
    second: Linear,
    half: usize,
}

impl TimestepEmbedding {
    /// From `2 * half` features to `width` outputs.
    pub fn new(half: usize, width: usize, law: Law, init: &mut WeightInit) -> Self {
        Self { first: init.linear(2 * half, width, law), second: init.linear(width, width, law), half }
    }

    /// Embeds timesteps `[batch]` as `[batch, width]`. The angles are computed in f32 whatever the type of the weights.
    pub fn forward(&self, timestep: Tensor<1>) -> Tensor<2> {
        let features = sinusoidal(timestep, self.half).cast(self.first.weight.base().dtype());
        linear(&self.second, silu(linear(&self.first, features)))
    }
}
