//! `x_t = α x1 + σ x0` and `u_t = α' x1 + σ' x0` for a batch.
use super::Path;
use burn::tensor::{DType, Tensor, TensorData};

/// The noisy input `α(t) x1 + σ(t) x0`, shaped like `data` `[batch, ...]`.
///
/// `times` holds one time in [0, 1] per sample. The coefficients are computed in f64 and rounded
/// once, so on the linear path the result is exactly `data * t + noise * (1 - t)`.
pub fn interpolate<const D: usize>(path: &dyn Path, data: Tensor<D>, noise: Tensor<D>, times: &[f32]) -> Tensor<D> {
    combine(data, noise, times, |t| {
        let c = path.coefficients(t);
        (c.alpha, c.sigma)
    })
}

/// The velocity `α'(t) x1 + σ'(t) x0` of a sample, shaped like `data` `[batch, ...]`; `x1 − x0` on the linear path.
pub fn velocity_target<const D: usize>(path: &dyn Path, data: Tensor<D>, noise: Tensor<D>, times: &[f32]) -> Tensor<D> {
    combine(data, noise, times, |t| {
        let c = path.coefficients(t);
        (c.d_alpha, c.d_sigma)
    })
}

/// `a(t) x + b(t) y` with one pair of weights per sample.
pub(super) fn combine<const D: usize>(
    x: Tensor<D>,
    y: Tensor<D>,
    times: &[f32],
    weights: impl Fn(f64) -> (f64, f64),
) -> Tensor<D> {
    let (a, b): (Vec<f64>, Vec<f64>) = times.iter().map(|t| weights(f64::from(*t))).unzip();
    let (a, b) = (per_sample(&a, &x), per_sample(&b, &y));
    x * a + y * b
}

/// `values`, one per sample, as `[batch, 1, ...]` beside `like`.
pub(crate) fn per_sample<const D: usize>(values: &[f64], like: &Tensor<D>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = values.len();
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    let dtype: DType = like.dtype();
    Tensor::from_data(TensorData::new(values, shape), (&like.device(), dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Linear;
    use burn::tensor::Device;

    #[test]
    fn the_linear_path_is_exactly_the_textbook_formula() {
        let (data, noise, times) = ([0.3_f32, -1.7, 2.9, 0.01], [1.1_f32, 0.6, -0.2, 5.0], [0.1_f32, 0.999_999_9]);
        let device = Device::flex();
        let tensor = |v: [f32; 4]| Tensor::<2>::from_data(TensorData::new(v.to_vec(), [2, 2]), &device);
        let x = interpolate(&Linear, tensor(data), tensor(noise), &times).into_data().try_to_vec::<f32>().unwrap();
        let v = velocity_target(&Linear, tensor(data), tensor(noise), &times).into_data().try_to_vec::<f32>().unwrap();
        for i in 0..4 {
            let t = times[i / 2];
            assert_eq!(x[i], data[i] * t + noise[i] * (1.0 - t));
            assert_eq!(v[i], data[i] - noise[i]);
        }
    }
}
