//! From tokens to an encoder's features: Linear, SiLU, Linear, SiLU, Linear.
use crate::models::layers::{self, Law, WeightInit};
use crate::ops::silu;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// The layers in order, `None` for a SiLU, so that parameters are numbered as in the official `Sequential`.
pub type Projector = Vec<Option<Linear>>;

/// A projector from `width` through `hidden` twice to `outputs`, with Xavier weights.
pub fn projector(width: usize, hidden: usize, outputs: usize, init: &mut WeightInit) -> Projector {
    let mut linear = |inputs, outputs| Some(init.linear(inputs, outputs, Law::XavierUniform));
    vec![linear(width, hidden), None, linear(hidden, hidden), None, linear(hidden, outputs)]
}

/// Maps the last dimension of tokens `[batch, tokens, width]`.
pub fn project(projector: &Projector, tokens: Tensor<3>) -> Tensor<3> {
    projector.iter().fold(tokens, |tokens, layer| match layer {
        Some(layer) => layers::linear(layer, tokens),
        None => silu(tokens),
    })
}
