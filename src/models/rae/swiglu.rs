//! The gated MLP w3(SiLU(a) · b), (a, b) = w12(x) (Shazeer 2020, arXiv 2002.05202).
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::swiglu;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// SwiGLU with biases; both halves of the hidden layer come from one projection.
#[derive(Module, Debug)]
pub struct SwiGlu {
    w12: Linear,
    w3: Linear,
    hidden: usize,
}

impl SwiGlu {
    /// `width` to two times `hidden` and back.
    pub fn new(width: usize, hidden: usize, init: &mut WeightInit) -> Self {
        Self {
            w12: init.linear_and_bias(width, 2 * hidden, Law::FanIn, Law::FanIn),
            w3: init.linear_and_bias(hidden, width, Law::FanIn, Law::FanIn),
            hidden,
        }
    }

    /// Maps the last dimension of tokens `[batch, tokens, width]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        linear(&self.w3, swiglu(linear(&self.w12, tokens)))
    }
}
