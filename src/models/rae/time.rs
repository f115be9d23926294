//! The told time as a vector: random Fourier features [sin(2π s W), cos(2π s W)] and a two-layer network.
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::silu;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};
use std::f64::consts::TAU;

/// The number of frequencies.
pub(super) const FREQUENCIES: usize = 256;

/// Linear(SiLU(Linear(features))) of Fourier features whose frequencies W start as N(0, 1).
///
/// The official code means to hold W fixed, but its training unfreezes every parameter: W is learned.
#[derive(Module, Debug)]
pub struct FourierEmbedding {
    frequencies: Param<Tensor<1>>,
    first: Linear,
    second: Linear,
}

impl FourierEmbedding {
    /// To `width` outputs; `learned` says whether the frequencies get gradients.
    pub fn new(width: usize, learned: bool, init: &mut WeightInit) -> Self {
        let law = Law::Normal { std: 0.02 };
        let frequencies = init.weight([FREQUENCIES], 1, FREQUENCIES, Law::Normal { std: 1.0 });
        Self {
            frequencies: if learned { frequencies } else { frequencies.no_grad() },
            first: init.linear_and_bias(2 * FREQUENCIES, width, law, Law::FanIn),
            second: init.linear_and_bias(width, width, law, Law::FanIn),
        }
    }

    /// Embeds times `[batch]` as `[batch, width]`. The angles are computed in f32 whatever the type of the weights.
    pub fn forward(&self, time: Tensor<1>) -> Tensor<2> {
        let frequencies = self.frequencies.val().cast(FloatDType::F32).unsqueeze_dim::<2>(0);
        let angles = time.cast(FloatDType::F32).unsqueeze_dim::<2>(1) * frequencies * TAU;
        let features = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        linear(&self.second, silu(linear(&self.first, features.cast(self.first.weight.base().dtype()))))
    }
}
