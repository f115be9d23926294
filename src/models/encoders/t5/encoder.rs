//! The encoder of T5 from tokens to hidden states.
use super::block::T5Block;
use super::distance::biases;
use crate::models::encoders::text_tokens::TokenLimits;
use crate::{Result, ops};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, module};

/// The encoder; made of official weights by [`T5Encoder::load`], or by [`T5EncoderConfig::init`](super::T5EncoderConfig::init).
/// Its parameters are not trained.
#[derive(Module, Debug)]
pub struct T5Encoder {
    pub(super) shared: Param<Tensor<2>>,
    pub(super) distances: Param<Tensor<2>>,
    pub(super) blocks: Vec<T5Block>,
    pub(super) final_norm: Param<Tensor<1>>,
    pub(super) max_distance: usize,
    pub(super) epsilon: f64,
}

impl T5Encoder {
    /// The last hidden states `[batch, tokens, d_model]`, after the final norm, of texts of one length, each its tokens, the token
    /// that ends it, and padding. They have the type of the weights.
    ///
    /// Padding is not masked, as Stability's code and diffusers do not: every token sees it, so that the length of a text changes
    /// all of its states.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for no text, texts of several lengths, and tokens beyond the vocabulary.
    pub fn encode(&self, tokens: &[Vec<u32>]) -> Result<Tensor<3>> {
        let table = self.shared.val();
        let [vocabulary, _] = table.dims();
        let indices = TokenLimits { vocabulary, longest: None }.checked(tokens, &table.device())?;
        let [_, count] = indices.dims();
        let biases = biases(self.distances.val(), count, self.max_distance);
        let hidden = self
            .blocks
            .iter()
            .fold(module::embedding(table, indices), |hidden, block| block.forward(hidden, biases.clone()));
        Ok(ops::rms_norm(hidden, self.final_norm.val(), self.epsilon))
    }
}
