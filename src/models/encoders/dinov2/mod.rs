//! DINOv2 (Oquab et al. 2023, arXiv 2304.07193), a vision transformer trained without labels, in two uses.
//!
//! | use | network | patch tokens |
//! |---|---|---|
//! | [`RepaFeatures`]: what REPA aligns with | [`DinoV2Config::base`] | after the last norm, `[batch, 256, 768]` |
//! | [`RaeEncoder`]: RAE's latents | [`DinoV2Config::base_with_registers`] | normed without weight and bias, `[batch, 768, 16, 16]` |
//!
//! Files of Meta's hub, of timm and of transformers load alike, see [`DinoV2Layout`]. Forward only: nothing here is trained.
//! ```
//! use burn::tensor::{Device, Tensor};
//! use burn_mixflow::models::encoders::dinov2::DinoV2Config;
//!
//! assert_eq!(DinoV2Config::base().parameter_count(), 86_580_480);
//! assert_eq!(DinoV2Config::base_with_registers().parameter_count(), 86_580_480 + 3_072);
//!
//! let device = Device::flex();
//! let network = DinoV2Config { width: 24, depth: 1, heads: 2, ..DinoV2Config::base() }.init(&device)?;
//! let features = network.patch_features(Tensor::zeros([1, 3, 28, 42], &device))?;
//! assert_eq!(features.dims(), [1, 2 * 3, 24]);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
mod attention;
mod block;
mod colours;
mod config;
mod layouts;
mod parameters;
mod positions;
mod rae;
mod repa;

pub use colours::pixels;
pub use config::DinoV2Config;
pub use parameters::DinoV2Layout;
pub use rae::RaeEncoder;
pub use repa::RepaFeatures;

use self::attention::Attention;
use self::block::{Block, normed};
use crate::models::sit::PatchEmbedding;
use crate::{Error, Result};
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::LayerNorm;
use burn::tensor::{FloatDType, Tensor};

/// The network; made by [`DinoV2Config::init`] or [`DinoV2::load`].
#[derive(Module, Debug)]
pub struct DinoV2 {
    cls_token: Param<Tensor<3>>,
    pos_embed: Param<Tensor<3>>,
    register_tokens: Option<Param<Tensor<3>>>,
    patch_embed: PatchEmbedding,
    blocks: Vec<Block<Attention>>,
    norm: LayerNorm,
    patch_size: usize,
}

impl DinoV2 {
    /// Patch tokens `[batch, tokens, width]` after the last norm, row by row (`x_norm_patchtokens` of the official code), of
    /// `images` `[batch, 3, height, width]`: colours in [0, 1] less ImageNet's mean, over its deviation.
    ///
    /// Both sides are multiples of the patch; positions are resampled where they are not those of the table. Computes in the type
    /// of the weights; the result has the type of `images`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of another shape.
    pub fn patch_features(&self, images: Tensor<4>) -> Result<Tensor<3>> {
        let original = images.dtype();
        Ok(normed(&self.norm, self.patches_of(images)?).cast(original))
    }

    /// As [`patch_features`](Self::patch_features), before the last norm.
    fn patch_tokens(&self, images: Tensor<4>) -> Result<Tensor<3>> {
        let original = images.dtype();
        Ok(self.patches_of(images)?.cast(original))
    }

    /// The network with its weights in another type, which it then computes in: bf16 takes half the memory and is faster on
    /// GPUs, with errors of about a hundredth.
    pub fn cast(self, to: FloatDType) -> Self {
        struct Cast(FloatDType);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weight| weight.cast(self.0))
            }
        }
        self.map(&mut Cast(to))
    }

    /// Pixels on the side of a patch.
    pub fn patch_size(&self) -> usize {
        self.patch_size
    }

    /// Patch tokens after the last block, in the type of the weights.
    fn patches_of(&self, images: Tensor<4>) -> Result<Tensor<3>> {
        let [batch, _, height, width] = images.dims();
        let patch = self.patch_size;
        colours::three_colours(&images)?;
        if [height, width].iter().any(|side| *side == 0 || !side.is_multiple_of(patch)) {
            let must = format!("both sides must be positive multiples of the patch, {patch} pixels");
            return Err(Error::Invalid(format!("images of {width} × {height} pixels: {must}")));
        }
        let [class, positions] = self.positions([height / patch, width / patch])?;
        let patches = self.patch_embed.forward(images.cast(class.dtype())) + positions;
        let for_all = |token: Tensor<3>| {
            let [_, count, width] = token.dims();
            token.expand([batch, count, width])
        };
        let registers = self.register_tokens.iter().map(|tokens| for_all(tokens.val()));
        let first: Vec<_> = [for_all(class)].into_iter().chain(registers).collect();
        let (dropped, count) = (first.iter().map(|tokens| tokens.dims()[1]).sum(), patches.dims()[1]);
        let mut tokens = Tensor::cat([first, vec![patches]].concat(), 1);
        for block in &self.blocks {
            tokens = block.forward(tokens);
        }
        Ok(tokens.narrow(1, dropped, count))
    }
}
