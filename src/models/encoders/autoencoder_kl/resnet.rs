//! The residual block, and the levels' middle: two blocks with attention between them.
use super::attention::Attention;
use super::config::Make;
use crate::models::layers::{Window, conv2d, group_norm_silu};
use burn::module::Module;
use burn::nn::GroupNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// x + conv(SiLU(GN(conv(SiLU(GN(x)))))); where the channels change, x through a 1 × 1 convolution.
#[derive(Module, Debug)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl Resnet {
    /// From `inputs` to `outputs` channels.
    pub fn new([inputs, outputs]: [usize; 2], make: &mut Make) -> Self {
        Self {
            norm1: make.norm(inputs),
            conv1: make.convolution([inputs, outputs], Window::THREE),
            norm2: make.norm(outputs),
            conv2: make.convolution([outputs, outputs], Window::THREE),
            conv_shortcut: (inputs != outputs).then(|| make.convolution([inputs, outputs], Window::PIXEL)),
        }
    }

    /// Maps an image to one of the same height and width.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let hidden = conv2d(&self.conv1, group_norm_silu(&self.norm1, image.clone()));
        let hidden = conv2d(&self.conv2, group_norm_silu(&self.norm2, hidden));
        match &self.conv_shortcut {
            Some(layer) => hidden + conv2d(layer, image),
            None => hidden + image,
        }
    }
}

/// `count` blocks, the first of which changes the channels.
pub(super) fn resnets([inputs, outputs]: [usize; 2], count: usize, make: &mut Make) -> Vec<Resnet> {
    (0..count).map(|i| Resnet::new([if i == 0 { inputs } else { outputs }, outputs], make)).collect()
}

/// The deepest level: a block, attention, a block.
#[derive(Module, Debug)]
pub(super) struct Middle {
    attention: Attention,
    resnets: Vec<Resnet>,
}

impl Middle {
    /// On `channels` channels.
    pub fn new(channels: usize, make: &mut Make) -> Self {
        Self { attention: Attention::new(channels, make), resnets: resnets([channels; 2], 2, make) }
    }

    /// Maps an image to one of the same shape.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut image = image;
        for (i, resnet) in self.resnets.iter().enumerate() {
            if i > 0 {
                image = self.attention.forward(image);
            }
            image = resnet.forward(image);
        }
        image
    }
}
