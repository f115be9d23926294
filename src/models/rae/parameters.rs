//! The parameters of a DiT^DH, named and counted without allocating any.
use super::RaeConfig;
use super::time::FREQUENCIES;
use crate::models::layers::{ParameterList, as_size, count, product};

impl RaeConfig {
    /// Official names and shapes (PyTorch layout) of all parameters and of the fixed rotary tables, in the order of the
    /// official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let [encoder, head] = self.hidden_size;
        let channels = self.in_channels;
        let mut list = ParameterList(vec![("pos_embed".into(), vec![1, self.tokens(), encoder])]);
        list.layer("x_embedder.proj", vec![head, channels, 1, 1]);
        list.layer("s_embedder.proj", vec![encoder, channels, 1, 1]);
        if encoder != head {
            list.layer("s_projector", vec![head, encoder]);
        }
        list.one("t_embedder.W", vec![FREQUENCIES]);
        list.layer("t_embedder.mlp.0", vec![encoder, 2 * FREQUENCIES]);
        list.layer("t_embedder.mlp.2", vec![encoder, encoder]);
        list.one("y_embedder.embedding_table.weight", vec![self.label_rows(), encoder]);
        list.one("final_layer.norm_final.weight", vec![head]);
        list.layer("final_layer.linear", vec![channels, head]);
        list.layer("final_layer.adaLN_modulation.1", vec![product([2, head]), head]);
        for (part, name) in ["enc_feat_rope", "dec_feat_rope"].into_iter().enumerate() {
            for table in ["freqs_cos", "freqs_sin"] {
                list.one(&format!("{name}.{table}"), vec![self.tokens(), self.head_width(part)]);
            }
        }
        for (i, part) in self.parts().enumerate() {
            self.block(&format!("blocks.{i}"), part, &mut list);
        }
        list.0
    }

    /// The number of parameters as the official code counts them: positions and time frequencies included, the rotary
    /// tables not.
    pub fn parameter_count(&self) -> usize {
        as_size(count(&self.parameters(), |name| !name.contains("_feat_rope.")))
    }

    /// All numbers, the rotary tables included, of any size.
    pub(crate) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }

    /// Whether a parameter is not trained: a rotary table, or what `train_embeddings` freezes.
    pub(crate) fn is_fixed(&self, name: &str) -> bool {
        name.contains("_feat_rope.") || !self.train_embeddings && ["pos_embed", "t_embedder.W"].contains(&name)
    }

    fn block(&self, name: &str, part: usize, list: &mut ParameterList) {
        let (width, hidden) = (self.hidden_size[part], self.mlp_width(part));
        list.one(&format!("{name}.norm1.weight"), vec![width]);
        list.one(&format!("{name}.norm2.weight"), vec![width]);
        list.layer(&format!("{name}.attn.qkv"), vec![product([3, width]), width]);
        if self.use_qknorm {
            list.one(&format!("{name}.attn.q_norm.weight"), vec![self.head_width(part)]);
            list.one(&format!("{name}.attn.k_norm.weight"), vec![self.head_width(part)]);
        }
        list.layer(&format!("{name}.attn.proj"), vec![width, width]);
        list.layer(&format!("{name}.mlp.w12"), vec![product([2, hidden]), width]);
        list.layer(&format!("{name}.mlp.w3"), vec![width, hidden]);
        list.layer(&format!("{name}.adaLN_modulation.1"), vec![product([6, width]), width]);
    }

    fn tokens(&self) -> usize {
        product([self.input_size, self.input_size])
    }

    fn head_width(&self, part: usize) -> usize {
        self.hidden_size[part] / self.num_heads[part]
    }
}
