//! Networks between pictures or texts and what the networks of the paper are trained on, with official weights. Forward only.
//!
//! | network | for | parameters | file |
//! |---|---|---|---|
//! | [`AutoencoderKl`](autoencoder_kl::AutoencoderKl), 4 channels | SiT's and REPA's latents and pictures | 83,653,863 | `sd-vae-ft-ema` (SiT), `sd-vae-ft-mse` (REPA): `diffusion_pytorch_model.safetensors` or `.bin` |
//! | [`AutoencoderKl`](autoencoder_kl::AutoencoderKl), 16 channels | Stable Diffusion 3.5's | 83,819,683 | `sd3.5_medium.safetensors`, `sd3.5_large.safetensors`, or `vae/diffusion_pytorch_model.safetensors` beside them |
//! | [`DinoV2`](dinov2::DinoV2) in [`RepaFeatures`](dinov2::RepaFeatures) | what REPA's projectors align with | 86,580,480 | `dinov2_vitb14_pretrain.pth`, or `model.safetensors` of `facebook/dinov2-base` or timm's `vit_base_patch14_dinov2.lvd142m` |
//! | [`DinoV2`](dinov2::DinoV2) with 4 registers in [`RaeEncoder`](dinov2::RaeEncoder) | RAE's latents; pictures again by [`RaeDecoder`](super::rae::RaeDecoder) | 86,583,552 | `model.safetensors` of `facebook/dinov2-with-registers-base`, or `dinov2_vitb14_reg4_pretrain.pth` |
//! | [`ClipText`](clip_text::ClipText) L and G | Stable Diffusion 3.5's condition | 123,060,480 and 694,659,840 | `clip_l.safetensors`, `clip_g.safetensors` |
//! | [`T5Encoder`](t5::T5Encoder) XXL | the same | 4,762,310,656 | `t5xxl_fp16.safetensors` |
//! | [`Inception`](inception::Inception) | FID, sFID, IS and the other distances of pictures | 23,885,486 | `pt_inception-2015-12-05-6726825d.pth` |
//!
//! Every network has a configuration whose `parameters()` lists official names and shapes without allocating, and a `load` that
//! reads safetensors or PyTorch files (feature `pytorch`) in each layout they are found in, and says what it read.
//!
//! Which one? The latents of a folder must be those its network was trained on: `ema` and `mse` autoencoders differ, and so do
//! DINOv2 with and without registers. [`resample`] resizes as PyTorch does, for what these networks read.
//! ```no_run
//! use burn::tensor::Device;
//! use burn_mixflow::models::encoders::dinov2::{RaeEncoder, pixels};
//! use std::path::Path;
//!
//! let device = Device::flex();
//! let (encoder, report) = RaeEncoder::load(Path::new("dinov2-with-registers-base/model.safetensors"), &device)?;
//! println!("{report}");
//! let bytes = vec![128; 3 * 256 * 256]; // [3, 256, 256] of a picture
//! let latents = encoder.encode(pixels(&bytes, [1, 3, 256, 256], &device)?)?;
//! assert_eq!(latents.dims(), [1, 768, 16, 16]);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
pub mod autoencoder_kl;
pub mod clip_text;
pub mod dinov2;
pub mod inception;
pub mod resample;
pub mod sd3_text;
pub mod t5;
mod text_precision;
mod text_tokens;
mod text_weights;

pub use text_precision::TextPrecision;
