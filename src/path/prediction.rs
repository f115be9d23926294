//! What a network predicts, and the conversions between velocity, noise, data and score.
use super::interpolate::{combine, per_sample, velocity_target};
use super::{Path, PathCoefficients};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The quantity a network predicts.
///
/// All four are linear combinations of any one of them and the noisy input `x = α x1 + σ x0`. With
/// `W = α'σ − ασ'`: `noise = (α' x − α v)/W`, `data = (σ v − σ' x)/W`, `score = −noise/σ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PredictionKind {
    /// The velocity `α' x1 + σ' x0`.
    #[default]
    Velocity,
    /// The noise `x0`.
    Noise,
    /// The data `x1`.
    Data,
    /// The score `−x0/σ`.
    Score,
}

impl PredictionKind {
    /// What the network should predict for a sample, shaped like `data` `[batch, ...]`.
    ///
    /// SiT's loss for the score, `|σ s + x0|²`, is σ² times the squared error against this target.
    pub fn target<const D: usize>(
        self,
        path: &dyn Path,
        data: Tensor<D>,
        noise: Tensor<D>,
        times: &[f32],
    ) -> Tensor<D> {
        match self {
            Self::Velocity => velocity_target(path, data, noise, times),
            Self::Noise => noise,
            Self::Data => data,
            Self::Score => {
                let weight: Vec<f64> = times.iter().map(|t| -1.0 / path.coefficients(f64::from(*t)).sigma).collect();
                let weight = per_sample(&weight, &noise);
                noise * weight
            }
        }
    }

    /// The velocity that belongs to this prediction `output` at `noisy`, both `[batch, ...]`.
    ///
    /// Infinite at t = 0 for noise and score if α(0) = 0, and at t = 1 for data: [`super::TrainingInterval`].
    pub fn to_velocity<const D: usize>(
        self,
        path: &dyn Path,
        output: Tensor<D>,
        noisy: Tensor<D>,
        times: &[f32],
    ) -> Tensor<D> {
        self.convert(Self::Velocity, path, output, noisy, times)
    }

    /// This prediction `output` at `noisy`, both `[batch, ...]`, as a prediction of `kind`.
    pub fn convert<const D: usize>(
        self,
        kind: Self,
        path: &dyn Path,
        output: Tensor<D>,
        noisy: Tensor<D>,
        times: &[f32],
    ) -> Tensor<D> {
        if self == kind {
            return output;
        }
        combine(output, noisy, times, |t| self.weights(kind, path, t))
    }

    /// The weights `(a, b)` at time `t` with which this prediction `output` at `noisy` is, as a prediction of
    /// `kind`, `a output + b noisy`.
    pub fn weights(self, kind: Self, path: &dyn Path, t: f64) -> (f64, f64) {
        if self == kind {
            return (1.0, 0.0);
        }
        let c = path.coefficients(t);
        let (source_data, source_noise) = self.in_data_and_noise(&c);
        let (data, noise) = kind.in_data_and_noise(&c);
        let determinant = source_data * c.sigma - source_noise * c.alpha;
        let scale = kind.scale(&c);
        let of_output = scale / self.scale(&c) * (data * c.sigma - noise * c.alpha) / determinant;
        let of_noisy = scale * (source_data * noise - source_noise * data) / determinant;
        (of_output, of_noisy)
    }

    /// The weights of `x1` and `x0` in this quantity divided by its [scale](Self::scale).
    fn in_data_and_noise(self, c: &PathCoefficients) -> (f64, f64) {
        match self {
            Self::Velocity => (c.d_alpha, c.d_sigma),
            Self::Noise | Self::Score => (0.0, 1.0),
            Self::Data => (1.0, 0.0),
        }
    }

    /// The score is the noise times −1/σ; kept apart so that a score converts to a velocity even at σ = 0.
    fn scale(self, c: &PathCoefficients) -> f64 {
        if self == Self::Score { -1.0 / c.sigma } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Gvp, Linear, Vp, drift, interpolate};
    use burn::tensor::{Device, TensorData};

    const KINDS: [PredictionKind; 4] =
        [PredictionKind::Velocity, PredictionKind::Noise, PredictionKind::Data, PredictionKind::Score];

    fn tensor(values: &[f32], columns: usize) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [values.len() / columns, columns]);
        Tensor::from_data(data, &Device::flex())
    }

    fn distance(a: Tensor<2>, b: Tensor<2>) -> f32 {
        (a - b).abs().max().into_scalar::<f32>()
    }

    fn sample() -> (Tensor<2>, Tensor<2>, [f32; 3]) {
        let data = tensor(&[0.4, -1.2, 2.0, 0.1, -0.7, 1.5], 2);
        (data, tensor(&[1.0, 0.3, -0.8, -1.6, 0.2, 0.9], 2), [0.2, 0.5, 0.9])
    }

    #[test]
    fn every_quantity_converts_to_every_other() {
        let (data, noise, times) = sample();
        let paths: [&dyn Path; 3] = [&Linear, &Gvp, &Vp::default()];
        for path in paths {
            let x = interpolate(path, data.clone(), noise.clone(), &times);
            for from in KINDS {
                let source = from.target(path, data.clone(), noise.clone(), &times);
                for to in KINDS {
                    let converted = from.convert(to, path, source.clone(), x.clone(), &times);
                    let expected = to.target(path, data.clone(), noise.clone(), &times);
                    // Data from noise divides f32 rounding by α, 0.04 at the least here.
                    let error = distance(converted, expected);
                    assert!(error < 2e-5, "{path:?} {from:?} -> {to:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn velocity_is_drift_plus_weighted_score() {
        let (data, noise, times) = sample();
        let x = interpolate(&Gvp, data.clone(), noise.clone(), &times);
        let velocity = velocity_target(&Gvp, data.clone(), noise.clone(), &times);
        let score = PredictionKind::Score.target(&Gvp, data, noise, &times);
        let drift = drift(&Gvp, x, &times);
        assert!(distance(drift.mean + drift.variance * score, velocity) < 1e-5);
    }

    #[test]
    fn conversions_that_exist_at_the_ends_are_finite_there() {
        use PredictionKind::{Data, Noise, Score, Velocity};
        let (data, noise) = (tensor(&[0.4, -1.2], 2), tensor(&[1.0, 0.3], 2));
        for (from, to, t) in [
            (Velocity, Data, 0.0),
            (Velocity, Noise, 0.0),
            (Data, Velocity, 0.0),
            (Velocity, Data, 1.0),
            (Velocity, Noise, 1.0),
            (Noise, Velocity, 1.0),
        ] {
            let x = interpolate(&Linear, data.clone(), noise.clone(), &[t]);
            let source = from.target(&Linear, data.clone(), noise.clone(), &[t]);
            let expected = to.target(&Linear, data.clone(), noise.clone(), &[t]);
            assert!(distance(from.convert(to, &Linear, source, x, &[t]), expected) < 1e-6, "{from:?} -> {to:?} at {t}");
        }
        // A finite score at t = 1: the velocity is its drift alone.
        let velocity = Score.to_velocity(&Linear, noise, data.clone(), &[1.0]);
        assert!(distance(velocity, data) < 1e-6);
    }
}
