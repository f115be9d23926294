//! `‖x‖₂` over tensors of any rank, gathered one by one.
use burn::tensor::{FloatDType, Tensor};

/// A sum of squares in f32, on the device of the first tensor.
#[derive(Default)]
pub(super) struct Norm(Option<Tensor<1>>);

impl Norm {
    pub fn add<const D: usize>(&mut self, tensor: Tensor<D>) {
        let square = tensor.cast(FloatDType::F32).square().sum();
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
