//! RAE's encoder (Zheng et al. 2025, arXiv 2510.11690): pictures to the latents that DiT^DH is trained on.
use super::block::EPSILON;
use super::colours::{normalised, three_colours};
use super::{DinoV2, DinoV2Config};
use crate::models::encoders::resample::{Bicubic, bicubic};
use crate::models::weights::ImportReport;
use crate::ops::layer_norm;
use crate::{Error, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use std::path::Path;

/// Pixels on the side of what the official encoder reads of an image of 256; 448 of one of 512.
const READ: usize = 224;

/// DINOv2 with registers, whose patch tokens are normed without weight and bias: the half before
/// [`RaeDecoder`](crate::models::rae::RaeDecoder), which makes pictures of such latents again.
///
/// DiT^DH sees (z − mean) / √(var + 1e-5) of them, with the statistics of `stat.pt`: that is
/// [`Scaling::to_network`](crate::data::Scaling::to_network), the config's `data.normalization`. Folders of latents hold z itself.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_mixflow::models::encoders::dinov2::{DinoV2Config, RaeEncoder};
/// use burn_mixflow::models::rae::RaeDecoderConfig;
///
/// let device = Device::flex();
/// // Sizes of a toy; with the official file, `RaeEncoder::load(Path::new("model.safetensors"), &device)?`.
/// let network = DinoV2Config { width: 24, depth: 1, heads: 2, ..DinoV2Config::base_with_registers() };
/// let encoder = RaeEncoder::new(network.init(&device)?, 56)?;
/// let latents = encoder.encode(Tensor::zeros([1, 3, 64, 64], &device))?;
/// assert_eq!(latents.dims(), [1, 24, 4, 4]);
///
/// let decoder = RaeDecoderConfig { hidden_size: 24, decoder_hidden_size: 16, layers: 1, num_patches: 16, ..Default::default() };
/// assert_eq!(decoder.init(&device)?.decode(latents)?.dims(), [1, 3, 64, 64]);
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct RaeEncoder {
    network: DinoV2,
    side: usize,
}

impl RaeEncoder {
    /// The encoder that resizes images to `side` pixels; officially 224 for images of 256, 448 for 512.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `side` is not a positive multiple of the patch.
    pub fn new(network: DinoV2, side: usize) -> Result<Self> {
        let patch = network.patch_size();
        if side == 0 || !side.is_multiple_of(patch) {
            return Err(Error::Invalid(format!(
                "side = {side}: must be a positive multiple of the patch, {patch} pixels"
            )));
        }
        Ok(Self { network, side })
    }

    /// DINOv2-B/14 with 4 registers and the weights of `file`, in any layout, for images of 256 pixels a side.
    ///
    /// # Errors
    /// As [`DinoV2::load`].
    pub fn load(file: &Path, device: &Device) -> Result<(Self, ImportReport)> {
        let (network, report) = DinoV2::load(&DinoV2Config::base_with_registers(), file, device)?;
        Ok((Self { network, side: READ }, report))
    }

    /// Latents `[batch, width, side / 14, side / 14]` of `images` `[batch, 3, height, width]` with colours in [0, 1].
    ///
    /// The image is resized (bicubic, a = −0.75, not antialiased), its colours are normalised, positions are resampled to the
    /// tokens (bicubic, antialiased); the class token and the registers are dropped. All of that is f32; the network computes in
    /// the type of its weights. The result has the type of `images`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images that are not of three colours, or empty.
    pub fn encode(&self, images: Tensor<4>) -> Result<Tensor<4>> {
        three_colours(&images)?;
        let resized = bicubic(images, [self.side; 2], Bicubic::Interpolating)?;
        let tokens = layer_norm(self.network.patch_tokens(normalised(resized))?, EPSILON);
        let ([batch, _, width], grid) = (tokens.dims(), self.side / self.network.patch_size());
        Ok(tokens.swap_dims(1, 2).reshape([batch, width, grid, grid]))
    }
}
