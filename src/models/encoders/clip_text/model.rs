//! The text encoder of CLIP from tokens to hidden states and pooled vectors.
use super::layer::{ClipLayer, ClipNorm};
use crate::Result;
use crate::models::encoders::text_tokens::TokenLimits;
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData, module};

/// The encoder; made of official weights by [`ClipText::load`], or by [`ClipTextConfig::init`](super::ClipTextConfig::init).
/// Its parameters are not trained.
#[derive(Module, Debug)]
pub struct ClipText {
    pub(super) token_embedding: Param<Tensor<2>>,
    pub(super) position_embedding: Param<Tensor<2>>,
    pub(super) layers: Vec<ClipLayer>,
    pub(super) final_layer_norm: ClipNorm,
    pub(super) text_projection: Option<Param<Tensor<2>>>,
}

/// What Stable Diffusion 3.5 takes of a batch of texts, in the type of the weights.
#[derive(Debug, Clone)]
pub struct ClipTextOutput {
    /// The hidden states that enter the last layer, `[batch, tokens, width]`, without the final norm: `hidden_states[-2]` in
    /// transformers.
    pub penultimate: Tensor<3>,
    /// The last hidden state, after the final norm, of the token that ends the text: `[batch, width]`.
    pub pooled: Tensor<2>,
    /// The projection of `pooled`, `[batch, projection_dim]`, if the encoder has one.
    pub projected: Option<Tensor<2>>,
}

impl ClipText {
    /// Encodes texts of one length, each the token that begins a text, its tokens, the token that ends it, and padding.
    ///
    /// The first token of the largest number ends a text, as it does in the vocabulary of CLIP. Padding is not masked: attention
    /// is causal, so that nothing before it sees it.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for no text, texts of several lengths or longer than the positions, and tokens
    /// beyond the vocabulary.
    pub fn encode(&self, tokens: &[Vec<u32>]) -> Result<ClipTextOutput> {
        let (table, positions) = (self.token_embedding.val(), self.position_embedding.val());
        let [[vocabulary, width], [longest, _]] = [table.dims(), positions.dims()];
        let device = table.device();
        let indices = TokenLimits { vocabulary, longest: Some(longest) }.checked(tokens, &device)?;
        let [batch, count] = indices.dims();
        let mut hidden = module::embedding(table, indices) + positions.narrow(0, 0, count).unsqueeze();
        let mut penultimate = hidden.clone();
        for layer in &self.layers {
            penultimate = hidden.clone();
            hidden = layer.forward(hidden);
        }
        let ends: Vec<i64> = tokens.iter().enumerate().map(|(i, row)| (i * count + end(row)) as i64).collect();
        let ends = Tensor::<1, Int>::from_data(TensorData::new(ends, [batch]), &device);
        let pooled = self.final_layer_norm.forward(hidden.reshape([batch * count, width]).select(0, ends));
        let projected = self.text_projection.as_ref().map(|projection| pooled.clone().matmul(projection.val()));
        Ok(ClipTextOutput { penultimate, pooled, projected })
    }
}

/// The first place of the largest token.
fn end(row: &[u32]) -> usize {
    let largest = row.iter().max();
    row.iter().position(|token| Some(token) == largest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_tokens_ends_a_text() {
        assert_eq!([end(&[8, 3, 9, 9, 9]), end(&[8, 9, 0, 0]), end(&[9])], [2, 1, 0]);
    }
}
