//! The latents of Stable Diffusion 3 and 3.5: 16 channels, an eighth of the pixels, shifted and scaled.
use burn::tensor::Tensor;

/// What is subtracted from the autoencoder's mean.
pub const LATENT_SHIFT: f64 = 0.0609;

/// What the difference is multiplied by.
pub const LATENT_SCALE: f64 = 1.5305;

/// The data x1 of an autoencoder's output z of any shape: (z − 0.0609) · 1.5305.
pub fn to_latent<const D: usize>(encoded: Tensor<D>) -> Tensor<D> {
    (encoded - LATENT_SHIFT) * LATENT_SCALE
}

/// What the autoencoder decodes, from data x1 of any shape: x1 / 1.5305 + 0.0609.
pub fn from_latent<const D: usize>(data: Tensor<D>) -> Tensor<D> {
    data / LATENT_SCALE + LATENT_SHIFT
}
