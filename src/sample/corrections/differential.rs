//! `x' ← x' + λ (x' − x̂1)` after each step, low and high frequencies apart: DCW for a velocity field.
use super::DifferentialConfig;
use crate::path::{Path, PredictionKind};
use crate::sample::{At, VelocityField};
use crate::{Error, Result};
use burn::tensor::Tensor;
use std::sync::Arc;

/// The field whose Euler step ends where the differential correction of the inner field's Euler step ends.
///
/// With `x' = x + h v` and the data `x̂1` that `v` predicts, `x'` gains `λ (x' − x̂1)`: on the low frequencies (means of
/// 2×2 blocks, one level of Haar's wavelet) with `λ = low · σ(t)`, on the rest with `λ = high · (1 − σ(t))`, `t` the
/// start of the step. The official code's `σ/σ_max` is `σ(t)` here.
pub struct DifferentialCorrection<'a, const D: usize> {
    inner: &'a dyn VelocityField<D>,
    path: Arc<dyn Path>,
    times: Vec<f64>,
    config: DifferentialConfig,
}

impl<'a, const D: usize> DifferentialCorrection<'a, D> {
    /// Corrects `inner`, a field of `path`, integrated by Euler's method over `times`, for states of `shape`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the last two sides of `shape`, height and width, are not even.
    pub fn new(
        inner: &'a dyn VelocityField<D>,
        path: Arc<dyn Path>,
        times: Vec<f64>,
        shape: [usize; D],
        config: DifferentialConfig,
    ) -> Result<Self> {
        if D < 3 || shape.iter().rev().take(2).any(|side| !side.is_multiple_of(2)) {
            let message = format!("differential correction of states {shape:?}: height and width must be even");
            return Err(Error::Invalid(message));
        }
        Ok(Self { inner, path, times, config })
    }
}

/// The means of 2×2 blocks, spread over their blocks.
fn low_frequencies<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    let (height, width) = (shape[D - 2], shape[D - 1]);
    let others = shape.iter().take(D - 2).product::<usize>();
    let blocks = x.reshape([others * height / 2, 2, width / 2, 2]).mean_dim(3).mean_dim(1);
    blocks.expand([others * height / 2, 2, width / 2, 2]).reshape(shape)
}

impl<const D: usize> VelocityField<D> for DifferentialCorrection<'_, D> {
    fn velocity(&self, x: Tensor<D>, t: f64) -> Tensor<D> {
        self.velocity_at(x, At::alone(t))
    }

    fn velocity_at(&self, x: Tensor<D>, at: At<'_>) -> Tensor<D> {
        let velocity = self.inner.velocity_at(x.clone(), at);
        let Some(end) = self.times.iter().find(|time| **time > at.time + 1e-9) else { return velocity };
        let (width, sigma) = (end - at.time, self.path.coefficients(at.time).sigma);
        let (of_velocity, of_state) = PredictionKind::Velocity.weights(PredictionKind::Data, self.path.as_ref(), at.time);
        let data = velocity.clone().mul_scalar(of_velocity) + x.clone().mul_scalar(of_state);
        let difference = x + velocity.clone().mul_scalar(width) - data;
        let low = low_frequencies(difference.clone());
        let high = difference - low.clone();
        let (of_low, of_high) = (self.config.low * sigma / width, self.config.high * (1.0 - sigma) / width);
        velocity + low.mul_scalar(of_low) + high.mul_scalar(of_high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Linear;
    use crate::sample::{Tableau, solve};
    use burn::tensor::Device;

    fn tensor(values: [f32; 8]) -> Tensor<4> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 1, 2, 4])
    }

    #[test]
    fn low_frequencies_are_the_means_of_blocks() {
        let found = low_frequencies(tensor([1., 3., 0., 0., 5., 7., 0., 8.])).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(found, [4., 4., 2., 2., 4., 4., 2., 2.]);
    }

    #[test]
    fn a_step_ends_where_the_correction_after_it_ends() {
        let (x, v) = (tensor([0.4, -1., 2., 0., 1., 0.3, 0.2, -0.7]), tensor([1., 0.2, 0., -2., 0.5, 0.1, 1., 1.]));
        let inner = |_: Tensor<4>, _: f64| v.clone();
        let config = DifferentialConfig { low: 0.2, high: -0.1 };
        let times = vec![0.25, 0.5];
        let field =
            DifferentialCorrection::new(&inner, Arc::new(Linear), times.clone(), x.dims(), config).unwrap();
        let found = solve(&field, x.clone(), &times, &Tableau::EULER, &mut |_| {});
        let next = x.clone() + v.clone().mul_scalar(0.25);
        let difference = next.clone() - (x + v.clone().mul_scalar(0.75));
        let low = low_frequencies(difference.clone());
        let expected = next + low.clone().mul_scalar(0.2 * 0.75) - (difference - low).mul_scalar(0.1 * 0.25);
        assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-6);
    }

    #[test]
    fn vectors_and_odd_sides_are_refused() {
        let inner = |x: Tensor<4>, _: f64| x;
        let config = DifferentialConfig { low: 0.1, high: 0.0 };
        for shape in [[1, 30, 1, 1], [1, 1, 4, 3]] {
            assert!(DifferentialCorrection::new(&inner, Arc::new(Linear), vec![0.0, 1.0], shape, config).is_err());
        }
    }
}
