//! Layer norm without learnable scale and shift, and adaptive modulation: LN(x) (1 + scale) + shift.
use burn::tensor::{DType, FloatDType, Tensor};

/// Layer norm over the last dimension of `x`: (x − mean) / √(var + epsilon), with the biased variance.
///
/// Computed in f32 whatever the type of `x`, as PyTorch's mixed precision does: squares overflow f16.
pub fn layer_norm<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let original: FloatDType = DType::into(x.dtype());
    let x = x.cast(FloatDType::F32);
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    (centred / (variance + epsilon).sqrt()).cast(original)
}

/// x (1 + scale) + shift; `shift` and `scale` broadcast against `x`.
pub fn modulate<const D: usize>(x: Tensor<D>, shift: Tensor<D>, scale: Tensor<D>) -> Tensor<D> {
    x * (scale + 1.0) + shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_have_mean_zero_and_variance_one() {
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 10.0], [-4.0, 0.0, 0.5, 1.0]], &Device::default());
        let rows = layer_norm(x, 1e-6).into_data().try_to_vec::<f32>().unwrap();
        for row in rows.chunks(4) {
            let mean = row.iter().sum::<f32>() / 4.0;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 4.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }

    #[test]
    fn modulation_by_zero_changes_nothing() {
        let x = Tensor::<2>::from_floats([[1.0, -2.0]], &Device::default());
        let zero = Tensor::zeros([1, 2], &Device::default());
        assert_eq!(modulate(x.clone(), zero.clone(), zero).into_data(), x.into_data());
    }
}
