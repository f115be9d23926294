//! The parameters of a text encoder of CLIP, named and counted without allocating any.
use super::ClipTextConfig;
use crate::models::layers::{ParameterList, as_size, count};

impl ClipTextConfig {
    /// Official names and shapes (PyTorch layout) of all parameters, in the order of the `state_dict` of transformers'
    /// `CLIPTextModelWithProjection`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (width, hidden) = (self.hidden_size, self.intermediate_size);
        let mut list = ParameterList(Vec::new());
        list.one("text_model.embeddings.token_embedding.weight", vec![self.vocab_size, width]);
        list.one("text_model.embeddings.position_embedding.weight", vec![self.max_position_embeddings, width]);
        for i in 0..self.num_hidden_layers {
            let name = |rest: &str| format!("text_model.encoder.layers.{i}.{rest}");
            for projection in ["k_proj", "v_proj", "q_proj", "out_proj"] {
                list.layer(&name(&format!("self_attn.{projection}")), vec![width, width]);
            }
            list.layer(&name("layer_norm1"), vec![width]);
            list.layer(&name("mlp.fc1"), vec![hidden, width]);
            list.layer(&name("mlp.fc2"), vec![width, hidden]);
            list.layer(&name("layer_norm2"), vec![width]);
        }
        list.layer("text_model.final_layer_norm", vec![width]);
        if let Some(outputs) = self.projection_dim {
            list.one("text_projection.weight", vec![outputs, width]);
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
