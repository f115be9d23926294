//! The parameters of an encoder of T5, named and counted without allocating any.
use super::T5EncoderConfig;
use crate::models::layers::{ParameterList, as_size, count, product};

/// The table of tokens.
pub(super) const SHARED: &str = "shared.weight";
/// The biases by distance, which every layer takes from the first.
pub(super) const DISTANCES: &str = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
/// The final norm.
pub(super) const FINAL_NORM: &str = "encoder.final_layer_norm.weight";

impl T5EncoderConfig {
    /// Official names and shapes (PyTorch layout) of all parameters, in the order of the `state_dict` of transformers'
    /// `T5EncoderModel`, where the table of tokens is once more under `encoder.embed_tokens.weight`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (width, hidden) = (self.d_model, self.d_ff);
        let inner = product([self.num_heads, self.d_kv]);
        let mut list = ParameterList(Vec::new());
        list.one(SHARED, vec![self.vocab_size, width]);
        for i in 0..self.num_layers {
            let name = |rest: &str| format!("encoder.block.{i}.layer.{rest}.weight");
            for projection in ["q", "k", "v"] {
                list.one(&name(&format!("0.SelfAttention.{projection}")), vec![inner, width]);
            }
            list.one(&name("0.SelfAttention.o"), vec![width, inner]);
            if i == 0 {
                list.one(DISTANCES, vec![self.relative_attention_num_buckets, self.num_heads]);
            }
            list.one(&name("0.layer_norm"), vec![width]);
            list.one(&name("1.DenseReluDense.wi_0"), vec![hidden, width]);
            list.one(&name("1.DenseReluDense.wi_1"), vec![hidden, width]);
            list.one(&name("1.DenseReluDense.wo"), vec![width, hidden]);
            list.one(&name("1.layer_norm"), vec![width]);
        }
        list.one(FINAL_NORM, vec![width]);
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
