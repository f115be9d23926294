//! `‖x‖₂` over tensors of any rank, gathered one by one.
#[cfg(feature = "fused")]
use crate::ops::sum_of_squares;
use burn::tensor::Tensor;

/// A sum of squares in f32, on the device of the first tensor.
#[derive(Default)]
pub(super) struct Norm(Option<Tensor<1>>);

impl Norm {
    pub fn add<const D: usize>(&mut self, tensor: Tensor<D>) {
        let square = sum_of_squares(tensor);
        self.0 = Some(match self.0.take() {
            Some(sum) => square.to_device(&sum.device()) + sum,
            None => square,
        });
    }

    /// The norm, shape `[1]`; `None` if nothing was added.
    pub fn value(self) -> Option<Tensor<1>> {
        self.0.map(Tensor::sqrt)
    }
}

#[cfg(not(feature = "fused"))]
fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.cast(burn::tensor::FloatDType::F32).square().sum()
}
