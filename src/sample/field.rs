//! `v(x, t)`: what a solver integrates, and how a network becomes one.
use super::GuidanceConfig;
use crate::network::{Condition, PredictionNetwork};
use crate::path::{Path, PredictionKind};
use crate::{Error, Result};
use burn::tensor::{DType, Tensor};
use std::sync::Arc;

/// A velocity field on tensors of rank `D`.
pub trait VelocityField<const D: usize> {
    /// The velocity at states `x` `[batch, ...]`, all at time `t` (0 noise, 1 data); shaped like `x`.
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D>;
}

impl<const D: usize, F: Fn(Tensor<D>, f64) -> Tensor<D>> VelocityField<D> for F {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self(x, t)
    }
}

/// The velocity that a network predicts for a batch of conditions, guided if so configured.
///
/// The timestep the network is told is `[batch]` in f32, filled with `t`.
#[derive(Debug)]
pub struct NetworkField<'a, N: PredictionNetwork<D>, const D: usize> {
    network: &'a N,
    /// Under guidance the conditions, then as many null conditions.
    condition: N::Condition,
    guidance: Option<GuidanceConfig>,
    prediction: PredictionKind,
    path: Arc<dyn Path>,
}

impl<'a, N: PredictionNetwork<D>, const D: usize> NetworkField<'a, N, D> {
    /// The field for a batch of `batch` conditions.
    ///
    /// A guidance of scale 1 is the plain conditional field and costs nothing.
    /// # Errors
    /// [`Error::Invalid`] for guidance of another scale if the network has no null condition.
    pub fn new(
        network: &'a N,
        condition: N::Condition,
        batch: usize,
        prediction: PredictionKind,
        path: Arc<dyn Path>,
        guidance: Option<GuidanceConfig>,
    ) -> Result<Self> {
        let guidance = guidance.filter(GuidanceConfig::is_active);
        let condition = match &guidance {
            None => condition,
            Some(config) => {
                let null = network.drop_condition(&condition, &vec![true; batch]).ok_or_else(|| {
                    let scale = config.scale;
                    Error::Invalid(format!("guidance of scale {scale}: must be 1, the network has no null condition"))
                })?;
                condition.concat(null)
            }
        };
        Ok(Self { network, condition, guidance, prediction, path })
    }

    fn predict(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        let batch = x.dims()[0];
        let told = Tensor::<1>::full([batch], t as f32, (&x.device(), DType::F32));
        let output = self.network.predict(x.clone(), told, &self.condition).output;
        self.prediction.to_velocity(self.path.as_ref(), output, x, &vec![t as f32; batch])
    }
}

impl<N: PredictionNetwork<D>, const D: usize> VelocityField<D> for NetworkField<'_, N, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        let Some(guidance) = &self.guidance else { return self.predict(x, t) };
        let batch = x.dims()[0];
        let both = self.predict(Tensor::cat(vec![x.clone(), x], 0), t);
        guidance.combine(both.clone().narrow(0, 0, batch), both.narrow(0, batch, batch))
    }
}
