//! `ε ← ε/λ`: Epsilon Scaling for a velocity field.
use super::EpsilonScalingConfig;
use crate::path::Path;
use crate::sample::{At, VelocityField};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What Epsilon Scaling divides by λ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scaled {
    /// The noise that the velocity stands for; what the method means. Equal to the official DDIM step on the linear
    /// path.
    #[default]
    Noise,
    /// The velocity itself, as if the network's output were the noise; a different method.
    Velocity,
}

/// A field with its noise (or velocity) divided by λ.
///
/// For the noise, `ε = (α' x − α v)/(α'σ − ασ')` and `v' = α' x̂1 + σ' ε/λ` with `x̂1 = (x − σ ε/λ)/α` come to
/// `v' = v/λ + (1 − 1/λ) x α'/α`. Where α = 0 the noise is the state itself, and λ is 1.
pub struct EpsilonScaling<'a, const D: usize> {
    inner: &'a dyn VelocityField<D>,
    path: Arc<dyn Path>,
    config: EpsilonScalingConfig,
}

impl<'a, const D: usize> EpsilonScaling<'a, D> {
    /// Scales `inner`, a field of `path`.
    pub fn new(inner: &'a dyn VelocityField<D>, path: Arc<dyn Path>, config: EpsilonScalingConfig) -> Self {
        Self { inner, path, config }
    }
}

impl<const D: usize> VelocityField<D> for EpsilonScaling<'_, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let velocity = self.inner.velocity_at(x.clone(), at);
        let inverse = self.config.lambda.recip();
        match self.config.scaled {
            Scaled::Velocity => velocity.mul_scalar(inverse),
            Scaled::Noise => {
                let ratio = self.path.alpha_log_derivative(at.time);
                if !ratio.is_finite() {
                    return velocity;
                }
                velocity.mul_scalar(inverse) + x.mul_scalar((1.0 - inverse) * ratio)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Gvp, Linear, PredictionKind, Vp};
    use burn::tensor::Device;

    #[test]
    fn it_is_the_velocity_of_the_scaled_noise_and_the_data_that_goes_with_it() {
        let tensor = |v: [f32; 3]| Tensor::<1>::from_floats(v, &Device::flex());
        let (x, v, lambda) = (tensor([0.4, -1.1, 2.0]), tensor([1.3, 0.2, -0.7]), 1.05);
        let paths: [Arc<dyn Path>; 3] = [Arc::new(Linear), Arc::new(Gvp), Arc::new(Vp::default())];
        for path in paths {
            for t in [0.2, 0.7] {
                let inner = |_: Tensor<1>, _: f64| v.clone();
                let config = EpsilonScalingConfig { lambda, scaled: Scaled::Noise };
                let found = EpsilonScaling::new(&inner, path.clone(), config).velocity(x.clone(), t);
                let c = path.coefficients(t);
                let (a, b) = PredictionKind::Velocity.weights(PredictionKind::Noise, &*path, t);
                let noise = (v.clone().mul_scalar(a) + x.clone().mul_scalar(b)).div_scalar(lambda);
                let data = (x.clone() - noise.clone().mul_scalar(c.sigma)).div_scalar(c.alpha);
                let expected = data.mul_scalar(c.d_alpha) + noise.mul_scalar(c.d_sigma);
                let scale = expected.clone().abs().max().into_scalar::<f32>();
                let error = (found - expected).abs().max().into_scalar::<f32>() / scale;
                assert!(error < 1e-5, "{path:?} {t}: {error}");
            }
        }
    }

    #[test]
    fn nothing_is_scaled_where_there_is_no_data_yet() {
        let inner = |x: Tensor<1>, _: f64| x;
        let config = EpsilonScalingConfig { lambda: 1.1, scaled: Scaled::Noise };
        let x = Tensor::<1>::from_floats([1.0], &Device::flex());
        let found = EpsilonScaling::new(&inner, Arc::new(Linear), config).velocity(x, 0.0);
        assert_eq!(found.into_scalar::<f32>(), 1.0);
    }
}
