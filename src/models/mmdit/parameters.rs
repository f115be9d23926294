//! The parameters of an MMDiT, counted without allocating any.
use super::{HALF_FEATURES, HEAD_SIZE, MmditConfig};

impl MmditConfig {
    /// Official names, without a prefix, and shapes (PyTorch layout) of all parameters and of the positions, in the
    /// order of the official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let width = self.width();
        let mut list = vec![("pos_embed".to_string(), vec![1, self.pos_embed_max_size.pow(2), width])];
        layer(&mut list, "x_embedder.proj", &[width, self.in_channels, self.patch_size, self.patch_size]);
        layer(&mut list, "t_embedder.mlp.0", &[width, 2 * HALF_FEATURES]);
        layer(&mut list, "t_embedder.mlp.2", &[width, width]);
        if let Some(inputs) = self.pooled_width {
            layer(&mut list, "y_embedder.mlp.0", &[width, inputs]);
            layer(&mut list, "y_embedder.mlp.2", &[width, width]);
        }
        layer(&mut list, "context_embedder", &[width, self.context_width]);
        for i in 0..self.depth {
            let last = i + 1 == self.depth;
            self.stream(&mut list, &format!("joint_blocks.{i}.context_block"), if last { 2 } else { 6 });
            let dual = self.dual_attention.contains(&i);
            self.stream(&mut list, &format!("joint_blocks.{i}.x_block"), if dual { 9 } else { 6 });
        }
        layer(&mut list, "final_layer.linear", &[self.patch_size.pow(2) * self.in_channels, width]);
        layer(&mut list, "final_layer.adaLN_modulation.1", &[2 * width, width]);
        list
    }

    /// The parameters of one stream, whose modulation has 2 parts (the text of the last block), 6, or 9 (dual).
    fn stream(&self, list: &mut Vec<(String, Vec<usize>)>, name: &str, parts: usize) {
        let width = self.width();
        for attention in if parts == 9 { &["attn", "attn2"][..] } else { &["attn"] } {
            layer(list, &format!("{name}.{attention}.qkv"), &[3 * width, width]);
            if parts > 2 {
                layer(list, &format!("{name}.{attention}.proj"), &[width, width]);
            }
            if self.qk_norm {
                list.push((format!("{name}.{attention}.ln_q.weight"), vec![HEAD_SIZE]));
                list.push((format!("{name}.{attention}.ln_k.weight"), vec![HEAD_SIZE]));
            }
        }
        if parts > 2 {
            layer(list, &format!("{name}.mlp.fc1"), &[self.mlp_width(), width]);
            layer(list, &format!("{name}.mlp.fc2"), &[width, self.mlp_width()]);
        }
        layer(list, &format!("{name}.adaLN_modulation.1"), &[parts * width, width]);
    }

    /// The number of parameters, without the fixed positions, which officially are a buffer.
    pub fn parameter_count(&self) -> usize {
        let parameters = self.parameters();
        parameters.iter().filter(|(name, _)| name != "pos_embed").map(|(_, s)| s.iter().product::<usize>()).sum()
    }
}

/// Adds a weight and the bias of its outputs.
fn layer(list: &mut Vec<(String, Vec<usize>)>, name: &str, weight: &[usize]) {
    list.push((format!("{name}.weight"), weight.to_vec()));
    list.push((format!("{name}.bias"), vec![weight[0]]));
}
