//! The features that REPA's projectors are aligned with (Yu et al. 2024, arXiv 2410.06940).
use super::colours::{normalised, three_colours};
use super::{DinoV2, DinoV2Config};
use crate::models::encoders::resample::{Bicubic, bicubic};
use crate::models::weights::ImportReport;
use crate::{Error, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use std::path::Path;

/// Pixels of the image on the side of 16 patches, and what DINOv2 reads of them.
const IMAGE: usize = 256;
const READ: usize = 224;

/// DINOv2's patch tokens after its last norm, as REPA's training computes them from each image.
///
/// ```
/// use burn::tensor::Device;
/// use burn_mixflow::models::encoders::dinov2::{DinoV2Config, RepaFeatures, pixels};
///
/// let device = Device::flex();
/// // Sizes of a toy; with the official file, `RepaFeatures::load(Path::new("dinov2_vitb14_pretrain.pth"), &device)?`.
/// let config = DinoV2Config { width: 24, depth: 1, heads: 2, ..DinoV2Config::base() };
/// let features = RepaFeatures::new(config.init(&device)?);
/// let image = pixels(&[200; 3 * 256 * 256], [1, 3, 256, 256], &device)?;
/// assert_eq!(features.of(image)?.dims(), [1, 256, 24]);
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct RepaFeatures {
    network: DinoV2,
}

impl RepaFeatures {
    /// The features of a network.
    pub fn new(network: DinoV2) -> Self {
        Self { network }
    }

    /// DINOv2-B/14 with the weights of `file`, in any layout.
    ///
    /// # Errors
    /// As [`DinoV2::load`].
    pub fn load(file: &Path, device: &Device) -> Result<(Self, ImportReport)> {
        let (network, report) = DinoV2::load(&DinoV2Config::base(), file, device)?;
        Ok((Self::new(network), report))
    }

    /// Features `[batch, tokens, width]` of square `images` `[batch, 3, side, side]` with colours in [0, 1] ([`pixels`](super::pixels)
    /// of the raw bytes): 256 tokens for a side of 256, 1024 for 512.
    ///
    /// Positions are resampled to the tokens (bicubic, antialiased). The network computes in the type of its weights; the result
    /// has the type of `images`.
    ///
    /// # Errors
    /// As [`RepaFeatures::input`].
    pub fn of(&self, images: Tensor<4>) -> Result<Tensor<3>> {
        self.network.patch_features(Self::input(images)?)
    }

    /// What the network reads of `images`, which are as in [`RepaFeatures::of`]: normalised colours, resized to
    /// 224 · ⌊side / 256⌋ (bicubic, a = −0.75, not antialiased).
    ///
    /// # Errors
    /// [`Error::Invalid`] for images that are not square, not of three colours, or smaller than 256.
    pub fn input(images: Tensor<4>) -> Result<Tensor<4>> {
        three_colours(&images)?;
        let [_, _, height, width] = images.dims();
        let side = READ * (height / IMAGE);
        if height != width || side == 0 {
            let must = format!("REPA's features are of square images of at least {IMAGE} pixels a side");
            return Err(Error::Invalid(format!("images of {width} × {height} pixels: {must}")));
        }
        bicubic(normalised(images), [side, side], Bicubic::Interpolating)
    }
}
