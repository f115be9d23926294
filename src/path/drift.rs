//! `v = mean + variance · score`: the velocity split into its linear drift and the score.
use super::Path;
use super::interpolate::per_sample;
use burn::tensor::Tensor;

/// The two parts of the velocity at a noisy input.
#[derive(Debug, Clone)]
pub struct Drift<const D: usize> {
    /// `x α'/α`, shaped like the input; the negative of the first value of SiT's `compute_drift`.
    pub mean: Tensor<D>,
    /// The weight `σ² α'/α − σσ'` of the score, `[batch, 1, ...]`; the second value of `compute_drift`.
    pub variance: Tensor<D>,
}

/// The drift of `noisy` `[batch, ...]` at one time per sample; infinite where α = 0.
pub fn drift<const D: usize>(path: &dyn Path, noisy: Tensor<D>, times: &[f32]) -> Drift<D> {
    let ratio: Vec<f64> = times.iter().map(|t| path.alpha_log_derivative(f64::from(*t))).collect();
    let variance: Vec<f64> = times.iter().map(|t| path.drift_variance(f64::from(*t))).collect();
    let (ratio, variance) = (per_sample(&ratio, &noisy), per_sample(&variance, &noisy));
    Drift { mean: noisy * ratio, variance }
}
