//! Attention of all pixels to each other, with one head as wide as the channels.
use super::config::Make;
use crate::models::layers::{group_norm, linear};
use crate::ops;
use burn::module::Module;
use burn::nn::{GroupNorm, Linear};
use burn::tensor::Tensor;

/// x + out(softmax(q kᵀ / √channels) v) with q, k and v of GN(x).
#[derive(Module, Debug)]
pub(super) struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl Attention {
    /// On `channels` channels.
    pub fn new(channels: usize, make: &mut Make) -> Self {
        let group_norm = make.norm(channels);
        let [to_q, to_k, to_v, to_out] = [(); 4].map(|()| make.linear(channels));
        Self { group_norm, to_q, to_k, to_v, to_out }
    }

    /// Maps an image to one of the same shape.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = image.dims();
        let pixels = height * width;
        let tokens: Tensor<3> =
            group_norm(&self.group_norm, image.clone()).reshape([batch, channels, pixels]).swap_dims(1, 2);
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v]
            .map(|layer| linear(layer, tokens.clone()).reshape([batch, 1, pixels, channels]));
        let mixed: Tensor<3> = ops::attention(q, k, v).reshape([batch, pixels, channels]);
        image + linear(&self.to_out, mixed).swap_dims(1, 2).reshape([batch, channels, height, width])
    }
}
