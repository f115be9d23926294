//! RAE's DiT^DH (Zheng et al. 2025, arXiv 2510.11690): a diffusion transformer on the features of a frozen image
//! encoder, with a wide, shallow head, as its official code computes it. And the decoder back to pixels.
//!
//! The encoder blocks read the noisy image under c = SiLU(time + label) and end in one vector per token; the decoder
//! blocks (the head) read the noisy image again, each token under its own vector. The weights are trained on reversed
//! time (0 data, 1 noise): [`Rae::forward`] speaks it, [`PredictionNetwork::predict`] speaks this crate's time.
//! ```
//! use burn_mixflow::models::rae::RaeConfig;
//! let config = RaeConfig::named("DiTDH-XL", 256).unwrap();
//! assert_eq!(config.parameter_count(), 838_675_796);
//! ```
mod attention;
mod block;
mod config;
mod decoder;
mod decoder_config;
mod decoder_layer;
mod init;
mod parameters;
mod rope;
mod swiglu;
mod time;

pub(crate) use block::{RaeBlock, RaeFinalLayer};
pub use config::RaeConfig;
pub use decoder::RaeDecoder;
pub use decoder_config::RaeDecoderConfig;
pub use rope::Rope;
pub(crate) use time::FourierEmbedding;

use crate::models::layers::linear;
use crate::models::sit::{LabelEmbedding, PatchEmbedding};
use crate::network::{Prediction, PredictionNetwork};
use crate::ops::silu;
use crate::path::reversed;
use crate::recompute::{Cut, cut, recomputed};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Int, Tensor};

/// Where the names of this crate differ from those in official checkpoints of a [`Rae`]: (here, there).
pub const OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("t_embedder.frequencies", "t_embedder.W"),
    ("t_embedder.first", "t_embedder.mlp.0"),
    ("t_embedder.second", "t_embedder.mlp.2"),
    ("modulation", "adaLN_modulation.1"),
];

/// Where the names of this crate differ from those in official checkpoints of a [`RaeDecoder`]: (here, there).
pub const DECODER_OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("expand", "intermediate.dense"),
    ("contract", "output.dense"),
    // After "contract", so that on the way back it is recognised before "output.dense" is.
    ("attention.query", "attention.attention.query"),
    ("attention.key", "attention.attention.key"),
    ("attention.value", "attention.attention.value"),
    ("attention.project", "attention.output.dense"),
];

/// The network; made by [`RaeConfig::init`].
#[derive(Module, Debug)]
pub struct Rae {
    pos_embed: Param<Tensor<3>>,
    x_embedder: PatchEmbedding,
    s_embedder: PatchEmbedding,
    s_projector: Option<Linear>,
    t_embedder: FourierEmbedding,
    y_embedder: LabelEmbedding,
    final_layer: RaeFinalLayer,
    enc_feat_rope: Rope,
    dec_feat_rope: Rope,
    blocks: Vec<RaeBlock>,
    encoder_depth: usize,
    null_label: Option<usize>,
}

impl Rae {
    /// The official network: the reversed velocity x0 − x1 `[batch, channels, size, size]` of `noisy` (same shape) at
    /// the reversed time `[batch]` (0 data, 1 noise) under `labels` `[batch]`.
    ///
    /// Computes in the type of the weights; the result has the type of `noisy`.
    pub fn forward(&self, noisy: Tensor<4>, reversed_time: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<4> {
        let input_type = noisy.dtype();
        let noisy = noisy.cast(self.pos_embed.val().dtype());
        let condition = self.encode(noisy.clone(), reversed_time, labels);
        self.decode(noisy, condition).cast(input_type)
    }

    /// The condition `[batch, tokens, head width]` of each token for the head, from the encoder blocks. Arguments as in
    /// [`Rae::forward`]; `noisy` has the type of the weights.
    pub fn encode(&self, noisy: Tensor<4>, reversed_time: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<3> {
        let time = cut(self.t_embedder.forward(reversed_time));
        let condition = silu(time.tensor() + self.y_embedder.forward(labels)).unsqueeze_dim::<3>(1);
        let tokens = self.s_embedder.forward(noisy) + self.pos_embed.val();
        let tokens = through(&self.blocks[..self.encoder_depth], &self.enc_feat_rope, tokens, cut(silu(condition)));
        // Only the time enters once more, not the label.
        let tokens = silu(tokens + time.tensor().unsqueeze_dim::<3>(1));
        match &self.s_projector {
            Some(projector) => linear(projector, tokens),
            None => tokens,
        }
    }

    /// The head: the reversed velocity of `noisy` `[batch, channels, size, size]` with one `condition` per token from
    /// [`Rae::encode`].
    pub fn decode(&self, noisy: Tensor<4>, condition: Tensor<3>) -> Tensor<4> {
        let [batch, channels, height, width] = noisy.dims();
        let activated = cut(silu(condition));
        let tokens = self.x_embedder.forward(noisy);
        let tokens = through(&self.blocks[self.encoder_depth..], &self.dec_feat_rope, tokens, activated.clone());
        let tokens = self.final_layer.forward(tokens, activated.tensor());
        tokens.swap_dims(1, 2).reshape([batch, channels, height, width])
    }
}

/// `tokens` after `blocks`, all under one condition.
fn through(blocks: &[RaeBlock], rope: &Rope, tokens: Tensor<3>, activated: Cut<3>) -> Tensor<3> {
    let mut tokens = cut(tokens);
    for block in blocks {
        let parts = (block.clone(), rope.clone());
        tokens = recomputed(&parts, &(tokens, activated.clone()), |(block, rope), (x, c)| block.forward(x, c, rope));
    }
    tokens.tensor()
}

impl PredictionNetwork<4> for Rae {
    type Condition = Tensor<1, Int>;

    /// Rounded, a frequency of 2 would move the angle at time 1 by 0.02.
    const KEPT_IN_F32: &'static [&'static str] = &["t_embedder.frequencies"];

    /// The velocity in this crate's time.
    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &Self::Condition) -> Prediction<4> {
        reversed::from_reversed(|x, s| self.forward(x, s, condition.clone()), noisy, timestep).into()
    }

    /// The null label is `num_classes`; without class dropout there is none.
    fn drop_condition(&self, condition: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        self.null_label.map(|null| crate::models::replace_labels(condition, dropped, null))
    }
}
