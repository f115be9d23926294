//! RMS norm with a learned weight: x / √(mean x² + 1e-6) · w.
use super::WeightInit;
use crate::ops::rms_norm;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

const EPSILON: f64 = 1e-6;

/// The norm over the last dimension, computed in f32 whatever the type of the weights.
#[derive(Module, Debug)]
pub struct Rms {
    weight: Param<Tensor<1>>,
}

impl Rms {
    /// A norm over `width` values, whose weight starts at 1.
    pub fn new(width: usize, init: &WeightInit) -> Self {
        Self { weight: init.constant(vec![1.0; width], [width]) }
    }

    /// Normalizes the last dimension of `x`, of any shape `[..., width]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        rms_norm(x, self.weight.val(), EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn rows_have_mean_square_one() {
        let device = Device::flex();
        let norm = Rms::new(4, &WeightInit::new(0, &device));
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 10.0], [-4.0, 0.0, 0.5, 1.0]], &device);
        for row in norm.forward(x).into_data().try_to_vec::<f32>().unwrap().chunks(4) {
            let square = row.iter().map(|v| v * v).sum::<f32>() / 4.0;
            assert!((square - 1.0).abs() < 1e-5, "{square}");
        }
    }
}
