//! GELU with the tanh approximation: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// GELU (tanh form) of `x`, of any shape, written as the identical x σ(2 √(2/π) (x + 0.044715 x³)), which is
/// faster than tanh on a CPU (Hendrycks and Gimpel, arXiv 1606.08415).
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let slope = x.clone().square() * (2.0 * SQRT_2_OVER_PI * 0.044715) + 2.0 * SQRT_2_OVER_PI;
    x.clone() * sigmoid(x * slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn equals_the_tanh_formula() {
        let values: Vec<f32> = (-60..=60).map(|i| i as f32 * 0.1).collect();
        let x = Tensor::<1>::from_floats(values.as_slice(), &Device::default());
        let found = gelu_tanh(x).into_data().try_to_vec::<f32>().unwrap();
        for (v, f) in values.iter().zip(found) {
            let v = *v as f64;
            let expected = 0.5 * v * (1.0 + (SQRT_2_OVER_PI * (v + 0.044715 * v.powi(3))).tanh());
            assert!((expected - f as f64).abs() < 2e-6, "{v}: {f} instead of {expected}");
        }
    }
}
