//! From latents up to pixels.
use super::AutoencoderKlConfig;
use super::config::Make;
use super::resnet::{Middle, Resnet, resnets};
use crate::models::layers::{Window, conv2d, group_norm_silu};
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{DType, Tensor, module};

/// Blocks of one size of images, and the way to the next.
#[derive(Module, Debug)]
struct Level {
    resnets: Vec<Resnet>,
    upsample: Option<Conv2d>,
}

/// Latents to pixels.
#[derive(Module, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    up_blocks: Vec<Level>,
    mid_block: Middle,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub fn new(config: &AutoencoderKlConfig, make: &mut Make) -> Self {
        let levels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (first, last) = (levels[0], levels[levels.len() - 1]);
        let before = [first].into_iter().chain(levels.iter().copied());
        Self {
            conv_in: make.convolution([config.latent_channels, first], Window::THREE),
            up_blocks: before
                .zip(&levels)
                .enumerate()
                .map(|(i, (inputs, outputs))| Level {
                    resnets: resnets([inputs, *outputs], config.layers_per_block + 1, make),
                    upsample: (i + 1 < levels.len()).then(|| make.convolution([*outputs; 2], Window::THREE)),
                })
                .collect(),
            mid_block: Middle::new(first, make),
            conv_norm_out: make.norm(last),
            conv_out: make.convolution([last, config.in_channels], Window::THREE),
        }
    }

    /// The type that it computes in.
    pub fn number_type(&self) -> DType {
        self.conv_in.weight.val().dtype()
    }

    /// Maps latents in the type of the weights.
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut image = self.mid_block.forward(conv2d(&self.conv_in, latents));
        for level in &self.up_blocks {
            for resnet in &level.resnets {
                image = resnet.forward(image);
            }
            if let Some(upsample) = &level.upsample {
                image = conv2d(upsample, doubled(image));
            }
        }
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, image))
    }
}

/// Every pixel as a square of 2 × 2.
fn doubled(image: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = image.dims();
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * height, 2 * width]);
    module::interpolate(image, options)
}
