//! The decoder from the features of the frozen encoder back to pixels, a plain vision transformer.
use super::decoder_config::COLOURS;
use super::decoder_layer::DecoderLayer;
use crate::models::imagenet::colours;
use crate::{Error, Result};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;

/// The decoder; made by [`RaeDecoderConfig::init`](super::RaeDecoderConfig::init).
#[derive(Module, Debug)]
pub struct RaeDecoder {
    pub(super) decoder_pos_embed: Param<Tensor<3>>,
    pub(super) trainable_cls_token: Param<Tensor<3>>,
    pub(super) decoder_embed: Linear,
    pub(super) decoder_layers: Vec<DecoderLayer>,
    pub(super) decoder_norm: LayerNorm,
    pub(super) decoder_pred: Linear,
    pub(super) latent_channels: usize,
    pub(super) grid: usize,
    pub(super) patch_size: usize,
}

impl RaeDecoder {
    /// Pixels `[batch, 3, height, width]` of `latents` `[batch, channels, grid, grid]`, as the encoder gives them:
    /// multiplied by the deviation and moved by the mean that the network's latents are normalized with.
    ///
    /// Values are nominally in [0, 1], but as officially not clamped. Latents of another size, which the official code
    /// resizes to the grid, are an error. Computes in the type of the weights; the result
    /// has the type of `latents`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for latents of another shape.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        let input_type = latents.dtype();
        let weight_type = self.decoder_pos_embed.val().dtype();
        let image = self.unpatchify(self.logits(latents.cast(weight_type))?).cast(input_type);
        let [mean, deviation] = colours(&image);
        Ok(image * deviation + mean)
    }

    /// Normalized colours `[batch, tokens, p * p * 3]` of the patches of `latents`, colours fastest.
    ///
    /// # Errors
    /// [`Error::Invalid`] for latents of another shape.
    pub fn logits(&self, latents: Tensor<4>) -> Result<Tensor<3>> {
        let [batch, channels, height, width] = latents.dims();
        if [channels, height, width] != [self.latent_channels, self.grid, self.grid] {
            let (c, g) = (self.latent_channels, self.grid);
            let found = format!("latents of shape [{channels}, {height}, {width}]");
            return Err(Error::Invalid(format!("{found}: the decoder is for [{c}, {g}, {g}]")));
        }
        let tokens = self.decoder_embed.forward(latents.reshape([batch, channels, height * width]).swap_dims(1, 2));
        let [_, count, model] = tokens.dims();
        let first = self.trainable_cls_token.val().expand([batch, 1, model]);
        let mut tokens = Tensor::cat(vec![first, tokens], 1) + self.decoder_pos_embed.val();
        for layer in &self.decoder_layers {
            tokens = layer.forward(tokens);
        }
        Ok(self.decoder_pred.forward(self.decoder_norm.forward(tokens.narrow(1, 1, count))))
    }

    fn unpatchify(&self, tokens: Tensor<3>) -> Tensor<4> {
        let [batch, _, _] = tokens.dims();
        let (g, p) = (self.grid, self.patch_size);
        let image: Tensor<6> = tokens.reshape([batch, g, g, p, p, COLOURS]).permute([0, 5, 1, 3, 2, 4]);
        image.reshape([batch, COLOURS, g * p, g * p])
    }
}
