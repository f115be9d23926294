//! Norms of rows with what is learned or told: LN(x) (1 + scale) + shift, x / √(mean x² + ε) w, and the scaling alone.
use super::scaled::{Norm, Spec, scaled};
use super::slices;
use burn::tensor::{DType, FloatDType, Tensor};

/// LN(x) (1 + scale) + shift, the adaptive layer norm of DiT (Peebles and Xie, arXiv 2212.09748): LN(x) is
/// (x − mean) / √(variance + epsilon) over the last dimension, with the biased variance.
///
/// `x` is `[.., width]`; `shift` and `scale` have one shape, which broadcasts against that of `x`.
pub fn modulate_norm<const D: usize>(x: Tensor<D>, shift: Tensor<D>, scale: Tensor<D>, epsilon: f64) -> Tensor<D> {
    if let Some(spec) = Spec::of(&x, &scale, &shift, Norm::Layer(epsilon as f32), 1.0) {
        return scaled(x, scale, shift, spec);
    }
    modulate(plain_layer_norm(x, epsilon), shift, scale)
}

/// x (1 + scale) + shift, shapes as in [`modulate_norm`].
pub fn modulate<const D: usize>(x: Tensor<D>, shift: Tensor<D>, scale: Tensor<D>) -> Tensor<D> {
    if let Some(spec) = Spec::of(&x, &scale, &shift, Norm::None, 1.0) {
        return scaled(x, scale, shift, spec);
    }
    x * (scale + 1.0) + shift
}

/// (x − mean) / √(variance + epsilon) over the last dimension of `x`, with the biased variance.
///
/// Other types than `f32` are computed in `f32`, as PyTorch's mixed precision does: squares overflow f16.
pub fn layer_norm<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    if slices::side(&x).is_none() {
        return plain_layer_norm(x, epsilon);
    }
    let none = Tensor::<1>::zeros([x.dims()[D - 1]], (&x.device(), x.dtype()));
    if let Some(spec) = Spec::of(&x, &none, &none, Norm::Layer(epsilon as f32), 1.0) {
        return scaled(x, none.clone(), none, spec);
    }
    plain_layer_norm(x, epsilon)
}

/// LN(x) weight + bias, with `weight` and `bias` `[width]`. Other types than `f32` are computed in their own.
pub fn affine_layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if let Some(spec) = Spec::of(&x, &weight, &bias, Norm::Layer(epsilon as f32), 0.0) {
        return scaled(x, weight, bias, spec);
    }
    burn::tensor::module::layer_norm(x, weight, Some(bias), epsilon)
}

/// x / √(mean x² + epsilon) · weight over the last dimension of `x`, with `weight` `[width]` (Zhang and Sennrich,
/// arXiv 1910.07467).
///
/// Other types than `f32` are normed in `f32` and weighted in their own.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if slices::side(&x).is_some() {
        let none = Tensor::<1>::zeros(weight.dims(), (&weight.device(), weight.dtype()));
        if let Some(spec) = Spec::of(&x, &weight, &none, Norm::Rms(epsilon as f32), 0.0) {
            return scaled(x, weight, none, spec);
        }
    }
    let original: FloatDType = DType::into(x.dtype());
    let x = x.cast(FloatDType::F32);
    let root = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt();
    (x / root).cast(original) * weight.unsqueeze()
}

fn plain_layer_norm<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let original: FloatDType = DType::into(x.dtype());
    let x = x.cast(FloatDType::F32);
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    (centred / (variance + epsilon).sqrt()).cast(original)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_have_mean_zero_and_variance_one() {
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 10.0], [-4.0, 0.0, 0.5, 1.0]], &Device::flex());
        let rows = layer_norm(x, 1e-6).into_data().try_to_vec::<f32>().unwrap();
        for row in rows.chunks(4) {
            let mean = row.iter().sum::<f32>() / 4.0;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 4.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }

    #[test]
    fn modulation_by_zero_changes_nothing() {
        let x = Tensor::<2>::from_floats([[1.0, -2.0]], &Device::flex());
        let zero = Tensor::zeros([1, 2], &Device::flex());
        assert_eq!(modulate(x.clone(), zero.clone(), zero).into_data(), x.into_data());
    }
}
