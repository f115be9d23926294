//! From pixels down to features of the latent image.
use super::AutoencoderKlConfig;
use super::config::Make;
use super::resnet::{Middle, Resnet, resnets};
use crate::models::layers::{Window, conv2d, group_norm_silu};
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};

/// Halves height and width, with zeros only below and to the right.
const HALVE: Window = Window { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1] };

/// Blocks of one size of images, and the way to the next.
#[derive(Module, Debug)]
struct Level {
    resnets: Vec<Resnet>,
    downsample: Option<Conv2d>,
}

/// Pixels to twice as many channels as a latent image has.
#[derive(Module, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<Level>,
    mid_block: Middle,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub fn new(config: &AutoencoderKlConfig, make: &mut Make) -> Self {
        let levels = &config.block_out_channels;
        let last = levels[levels.len() - 1];
        let before = levels.first().into_iter().chain(levels);
        Self {
            conv_in: make.convolution([config.in_channels, levels[0]], Window::THREE),
            down_blocks: before
                .zip(levels)
                .enumerate()
                .map(|(i, (inputs, outputs))| Level {
                    resnets: resnets([*inputs, *outputs], config.layers_per_block, make),
                    downsample: (i + 1 < levels.len()).then(|| make.convolution([*outputs; 2], HALVE)),
                })
                .collect(),
            mid_block: Middle::new(last, make),
            conv_norm_out: make.norm(last),
            conv_out: make.convolution([last, 2 * config.latent_channels], Window::THREE),
        }
    }

    /// The type that it computes in.
    pub fn number_type(&self) -> DType {
        self.conv_in.weight.val().dtype()
    }

    /// Maps pixels in the type of the weights.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let mut image = conv2d(&self.conv_in, pixels);
        for level in &self.down_blocks {
            for resnet in &level.resnets {
                image = resnet.forward(image);
            }
            if let Some(downsample) = &level.downsample {
                image = conv2d(downsample, image);
            }
        }
        let image = self.mid_block.forward(image);
        conv2d(&self.conv_out, group_norm_silu(&self.conv_norm_out, image))
    }
}
