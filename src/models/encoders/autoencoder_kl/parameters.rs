//! The parameters of an autoencoder, named and counted without allocating any.
use super::AutoencoderKlConfig;
use crate::models::layers::{ParameterList, as_size, count, product};

impl AutoencoderKlConfig {
    /// Official names and shapes (PyTorch layout) of all parameters, in the order of diffusers' `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = ParameterList(Vec::new());
        let levels = &self.block_out_channels;
        let (Some(first), Some(last)) = (levels.first(), levels.last()) else { return list.0 };
        let moments = product([2, self.latent_channels]);

        convolution("encoder.conv_in", [self.in_channels, *first], 3, &mut list);
        let blocks = Blocks { half: "encoder.down_blocks", sampler: "downsamplers", each: self.layers_per_block };
        blocks.list(levels, &mut list);
        middle("encoder.mid_block", *last, &mut list);
        list.layer("encoder.conv_norm_out", vec![*last]);
        convolution("encoder.conv_out", [*last, moments], 3, &mut list);

        convolution("decoder.conv_in", [self.latent_channels, *last], 3, &mut list);
        let turned: Vec<usize> = levels.iter().rev().copied().collect();
        let each = self.layers_per_block.saturating_add(1);
        Blocks { half: "decoder.up_blocks", sampler: "upsamplers", each }.list(&turned, &mut list);
        middle("decoder.mid_block", *last, &mut list);
        list.layer("decoder.conv_norm_out", vec![*first]);
        convolution("decoder.conv_out", [*first, self.in_channels], 3, &mut list);

        if self.use_quant_conv {
            convolution("quant_conv", [moments; 2], 1, &mut list);
            convolution("post_quant_conv", [self.latent_channels; 2], 1, &mut list);
        }
        list.0
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        as_size(self.numbers())
    }

    /// As [`parameter_count`](Self::parameter_count), of any size.
    pub(crate) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }
}

/// The levels of one half of the network.
struct Blocks {
    half: &'static str,
    sampler: &'static str,
    /// Residual blocks in each.
    each: usize,
}

impl Blocks {
    fn list(&self, levels: &[usize], list: &mut ParameterList) {
        let Self { half, sampler, each } = self;
        for (level, outputs) in levels.iter().enumerate() {
            let before = levels[level.saturating_sub(1)];
            for i in 0..*each {
                let inputs = if i == 0 { before } else { *outputs };
                resnet(&format!("{half}.{level}.resnets.{i}"), [inputs, *outputs], list);
            }
            if level + 1 < levels.len() {
                convolution(&format!("{half}.{level}.{sampler}.0.conv"), [*outputs; 2], 3, list);
            }
        }
    }
}

fn convolution(name: &str, [inputs, outputs]: [usize; 2], kernel: usize, list: &mut ParameterList) {
    list.layer(name, vec![outputs, inputs, kernel, kernel]);
}

fn resnet(name: &str, [inputs, outputs]: [usize; 2], list: &mut ParameterList) {
    list.layer(&format!("{name}.norm1"), vec![inputs]);
    convolution(&format!("{name}.conv1"), [inputs, outputs], 3, list);
    list.layer(&format!("{name}.norm2"), vec![outputs]);
    convolution(&format!("{name}.conv2"), [outputs; 2], 3, list);
    if inputs != outputs {
        convolution(&format!("{name}.conv_shortcut"), [inputs, outputs], 1, list);
    }
}

fn middle(name: &str, channels: usize, list: &mut ParameterList) {
    list.layer(&format!("{name}.attentions.0.group_norm"), vec![channels]);
    for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
        list.layer(&format!("{name}.attentions.0.{projection}"), vec![channels; 2]);
    }
    for i in 0..2 {
        resnet(&format!("{name}.resnets.{i}"), [channels; 2], list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_released_files() {
        assert_eq!(AutoencoderKlConfig::sd1().parameter_count(), 83_653_863);
        assert_eq!(AutoencoderKlConfig::sd3().parameter_count(), 83_819_683);
        assert_eq!(AutoencoderKlConfig::sd1().parameters().len(), 248);
    }
}
