//! The exact field of a ring as a velocity field.
use crate::data::RingConfig;
use crate::sample::{At, VelocityField};
use crate::timestep::StrategyConfig;
use burn::tensor::{Tensor, TensorData};

/// What post-training with a mixture range γ aims at, in closed form; see [`RingConfig::velocity`].
pub(in crate::experiment) struct ExactField<'a> {
    ring: &'a RingConfig,
    gamma: f64,
}

impl<'a> ExactField<'a> {
    /// The field of a strategy; one without γ does not slow.
    pub fn new(ring: &'a RingConfig, strategy: &StrategyConfig) -> Self {
        Self { ring, gamma: strategy.gamma().unwrap_or(0.0) }
    }
}

impl VelocityField<4> for ExactField<'_> {
    fn velocity(&self, x: Tensor<4>, t: f64) -> Tensor<4> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<4>, at: At<'_>) -> Tensor<4> {
        let (shape, device) = (x.dims(), x.device());
        let values: Vec<f32> = x.into_data().iter::<f32>().collect();
        let told = |i: usize| at.told.and_then(|told| told.get(i)).copied().unwrap_or(at.time);
        let samples = values.chunks(self.ring.dimension).enumerate();
        let velocity: Vec<f32> = samples.flat_map(|(i, x)| self.ring.velocity(x, told(i), self.gamma)).collect();
        Tensor::from_data(TensorData::new(velocity, shape), &device)
    }
}
