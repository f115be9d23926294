//! `v(x, (1 − δ) t)`: a static time shift for a velocity field.
use super::StaticShiftConfig;
use crate::sample::{At, VelocityField};
use burn::tensor::Tensor;

/// A field whose network is told `(1 − δ) t`; the integration keeps the nominal times.
///
/// Training with slowed timesteps teaches a mean lag of `γ t/2`: what this does to a network as it is, with δ = γ/2.
pub struct StaticShift<'a, const D: usize> {
    inner: &'a dyn VelocityField<D>,
    config: StaticShiftConfig,
}

impl<'a, const D: usize> StaticShift<'a, D> {
    /// Shifts the times told to `inner`.
    pub fn new(inner: &'a dyn VelocityField<D>, config: StaticShiftConfig) -> Self {
        Self { inner, config }
    }
}

impl<const D: usize> VelocityField<D> for StaticShift<'_, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let slow = |t: f64| (1.0 - self.config.delta) * t;
        let told: Vec<f64> = match at.told {
            Some(told) => told.iter().map(|t| slow(*t)).collect(),
            None => vec![slow(at.time); x.dims()[0]],
        };
        self.inner.velocity_at(x, At { told: Some(&told), ..at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn shifts_multiply_and_nothing_else_changes() {
        let inner = |x: Tensor<2>, t: f64| x.mul_scalar(0.0).add_scalar(t);
        let once = StaticShift::new(&inner, StaticShiftConfig { delta: 0.2 });
        let twice = StaticShift::new(&once, StaticShiftConfig { delta: 0.5 });
        let told = twice.velocity(Tensor::ones([2, 1], &Device::flex()), 0.5).into_data().try_to_vec::<f32>().unwrap();
        assert!(told.iter().all(|t| (t - 0.2).abs() < 1e-6), "{told:?}");
    }
}
