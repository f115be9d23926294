//! The parameters of an MMDiT, counted without allocating any.
use super::{HALF_FEATURES, HEAD_SIZE, MmditConfig};
use crate::models::layers::{ParameterList, as_size, count, product};

impl MmditConfig {
    /// Official names, without a prefix, and shapes (PyTorch layout) of all parameters and of the positions, in the
    /// order of the official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let width = self.width();
        let positions =
            ("pos_embed".into(), vec![1, product([self.pos_embed_max_size, self.pos_embed_max_size]), width]);
        let mut list = ParameterList(vec![positions]);
        list.layer("x_embedder.proj", vec![width, self.in_channels, self.patch_size, self.patch_size]);
        list.layer("t_embedder.mlp.0", vec![width, 2 * HALF_FEATURES]);
        list.layer("t_embedder.mlp.2", vec![width, width]);
        if let Some(inputs) = self.pooled_width {
            list.layer("y_embedder.mlp.0", vec![width, inputs]);
            list.layer("y_embedder.mlp.2", vec![width, width]);
        }
        list.layer("context_embedder", vec![width, self.context_width]);
        for i in 0..self.depth {
            let last = i + 1 == self.depth;
            self.stream(&mut list, &format!("joint_blocks.{i}.context_block"), if last { 2 } else { 6 });
            let dual = self.dual_attention.contains(&i);
            self.stream(&mut list, &format!("joint_blocks.{i}.x_block"), if dual { 9 } else { 6 });
        }
        let outputs = product([self.patch_size, self.patch_size, self.in_channels]);
        list.layer("final_layer.linear", vec![outputs, width]);
        list.layer("final_layer.adaLN_modulation.1", vec![product([2, width]), width]);
        list.0
    }

    /// The parameters of one stream, whose modulation has 2 parts (the text of the last block), 6, or 9 (dual).
    fn stream(&self, list: &mut ParameterList, name: &str, parts: usize) {
        let width = self.width();
        for attention in if parts == 9 { &["attn", "attn2"][..] } else { &["attn"] } {
            list.layer(&format!("{name}.{attention}.qkv"), vec![product([3, width]), width]);
            if parts > 2 {
                list.layer(&format!("{name}.{attention}.proj"), vec![width, width]);
            }
            if self.qk_norm {
                list.one(&format!("{name}.{attention}.ln_q.weight"), vec![HEAD_SIZE]);
                list.one(&format!("{name}.{attention}.ln_k.weight"), vec![HEAD_SIZE]);
            }
        }
        if parts > 2 {
            list.layer(&format!("{name}.mlp.fc1"), vec![self.mlp_width(), width]);
            list.layer(&format!("{name}.mlp.fc2"), vec![width, self.mlp_width()]);
        }
        list.layer(&format!("{name}.adaLN_modulation.1"), vec![product([parts, width]), width]);
    }

    /// The number of parameters, without the fixed positions, which officially are a buffer.
    pub fn parameter_count(&self) -> usize {
        as_size(count(&self.parameters(), |name| name != "pos_embed"))
    }

    /// All numbers, the positions included, of any size.
    pub(crate) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }
}
