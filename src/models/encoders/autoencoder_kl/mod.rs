//! The autoencoder of Stable Diffusion (Rombach et al. 2022, arXiv 2112.10752), as diffusers' `AutoencoderKL` computes it:
//! pixels to the mean and the deviation of a latent image an eighth as high and wide, and latents back to pixels. Forward
//! only.
//!
//! | constructor | latents | whose | network's latents x of z |
//! |---|---|---|---|
//! | [`AutoencoderKlConfig::sd1`] | 4 channels | `sd-vae-ft-ema` (SiT), `sd-vae-ft-mse` (REPA) | z · [`SD1_SCALE`] |
//! | [`AutoencoderKlConfig::sd3`] | 16 channels | Stable Diffusion 3 and 3.5 | (z − [`SD3_SHIFT`]) · [`SD3_SCALE`] |
//!
//! Shift and scale are the user's, as `data.shift` and `data.scale` of an experiment on latents: what [`AutoencoderKl::encode`]
//! gives is z, and what [`AutoencoderKl::decode`] takes is z.
//! ```no_run
//! use burn::tensor::{Device, Tensor};
//! use burn_mixflow::models::encoders::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig, SD1_SCALE};
//! use std::path::Path;
//!
//! let (config, file, device) = (AutoencoderKlConfig::sd1(), Path::new("diffusion_pytorch_model.safetensors"), Device::flex());
//! let (autoencoder, report) = AutoencoderKl::load(&config, file, &Default::default(), &device)?;
//! println!("{report}");
//! let pixels = Tensor::<4>::zeros([1, 3, 256, 256], &device);
//! let latents = autoencoder.encode(pixels)?.mean * SD1_SCALE;
//! let pixels = autoencoder.decode(latents / SD1_SCALE)?.clamp(-1.0, 1.0);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
mod attention;
mod config;
mod decoder;
mod encoder;
mod layouts;
mod load;
mod parameters;
mod resnet;

pub use config::AutoencoderKlConfig;

use self::decoder::Decoder;
use self::encoder::Encoder;
use crate::models::layers::conv2d;
use crate::{Error, Result};
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// What SiT and REPA multiply latents with: `scaling_factor` of `sd-vae-ft-ema` and `sd-vae-ft-mse`.
pub const SD1_SCALE: f64 = 0.18215;
/// What Stable Diffusion 3.5 multiplies shifted latents with: `scaling_factor` of its autoencoder.
pub const SD3_SCALE: f64 = 1.5305;
/// What Stable Diffusion 3.5 takes away from latents first: `shift_factor` of its autoencoder.
pub const SD3_SHIFT: f64 = 0.0609;

/// Where the names of this crate differ from those of diffusers: (here, there).
pub const OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("downsample", "downsamplers.0.conv"),
    ("upsample", "upsamplers.0.conv"),
    ("attention", "attentions.0"),
    ("to_out", "to_out.0"),
];

/// The range of the logarithm of the variance; the official code cuts it so.
const LOG_VARIANCE: [f64; 2] = [-30.0, 20.0];

/// The autoencoder; made by [`AutoencoderKlConfig::init`] or [`AutoencoderKl::load`].
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    colours: usize,
    latent_channels: usize,
    side: usize,
}

/// A normal distribution for every number of a latent image.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// The mean `[batch, channels, height, width]`.
    pub mean: Tensor<4>,
    /// The standard deviation, of the same shape.
    pub std: Tensor<4>,
}

impl AutoencoderKl {
    /// Pixels on the side of the square that one latent pixel stands for.
    pub fn pixels_per_latent(&self) -> usize {
        self.side
    }

    /// The latents of `pixels` `[batch, colours, height, width]` with values in [−1, 1], height and width multiples of
    /// [`pixels_per_latent`](Self::pixels_per_latent): mean m and deviation exp(½ min(max(l, −30), 20)) for the two halves
    /// m and l of the channels that the network gives.
    ///
    /// Computes in the type of the weights; the result has the type of `pixels`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for pixels of another shape.
    pub fn encode(&self, pixels: Tensor<4>) -> Result<Posterior> {
        let [batch, colours, height, width] = pixels.dims();
        let divides = [height, width].into_iter().all(|side| side > 0 && side.is_multiple_of(self.side));
        if batch == 0 || colours != self.colours || !divides {
            let (wanted, side) = (self.colours, self.side);
            let found = format!("pixels of shape [{batch}, {colours}, {height}, {width}]");
            let must = format!("must be [batch, {wanted}, height, width] with height and width multiples of {side}");
            return Err(Error::Invalid(format!("{found}: {must}")));
        }
        let input_type = pixels.dtype();
        let features = self.encoder.forward(pixels.cast(self.encoder.number_type()));
        let moments = match &self.quant_conv {
            Some(layer) => conv2d(layer, features),
            None => features,
        };
        let moments = moments.cast(input_type);
        let [mean, log_variance] =
            [0, 1].map(|half| moments.clone().narrow(1, half * self.latent_channels, self.latent_channels));
        let [least, most] = LOG_VARIANCE;
        Ok(Posterior { mean, std: (log_variance.clamp(least, most) * 0.5).exp() })
    }

    /// Pixels `[batch, colours, height, width]` of `latents` `[batch, channels, height / side, width / side]`, nominally in
    /// [−1, 1], but as officially not clamped; the side is [`pixels_per_latent`](Self::pixels_per_latent).
    ///
    /// Computes in the type of the weights; the result has the type of `latents`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for latents of another number of channels, or without any number.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        let [batch, channels, height, width] = latents.dims();
        if channels != self.latent_channels || batch * height * width == 0 {
            let wanted = self.latent_channels;
            let found = format!("latents of shape [{batch}, {channels}, {height}, {width}]");
            return Err(Error::Invalid(format!("{found}: must be [batch, {wanted}, height, width], no side 0")));
        }
        let input_type = latents.dtype();
        let latents = latents.cast(self.decoder.number_type());
        let latents = match &self.post_quant_conv {
            Some(layer) => conv2d(layer, latents),
            None => latents,
        };
        Ok(self.decoder.forward(latents).cast(input_type))
    }
}
