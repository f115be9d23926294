//! SiT, the Scalable Interpolant Transformer (Ma et al. 2024, arXiv 2401.08740), as its official code computes it.
//!
//! Tokens = patches + position; c = timestep + label; every block modulates by c (adaLN-Zero); the output tokens
//! are folded back into an image. Times are told unscaled, 0 is noise.
//! ```
//! use burn_mixflow::models::SitConfig;
//! let config = SitConfig::named("SiT-XL/2").unwrap();
//! assert_eq!(config.parameter_count(), 675_129_632);
//! ```
mod block;
mod config;
mod embed;
mod pos_embed;

pub(crate) use block::Mlp;
pub use block::SitBlock;
pub use config::SitConfig;
pub use embed::{FinalLayer, LabelEmbedding, PatchEmbedding};
pub use pos_embed::sincos_2d;

use crate::models::layers::TimestepEmbedding;
use crate::network::{Prediction, PredictionNetwork};
use crate::ops::silu;
use crate::recompute::{cut, passed, recomputed};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

/// Where the names of this crate differ from those in official checkpoints: (here, there).
pub const OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("t_embedder.first", "t_embedder.mlp.0"),
    ("t_embedder.second", "t_embedder.mlp.2"),
    ("modulation", "adaLN_modulation.1"),
];

/// The network; made by [`SitConfig::init`].
#[derive(Module, Debug)]
pub struct Sit {
    pos_embed: Param<Tensor<3>>,
    x_embedder: PatchEmbedding,
    t_embedder: TimestepEmbedding,
    y_embedder: LabelEmbedding,
    blocks: Vec<SitBlock>,
    final_layer: FinalLayer,
    patch_size: usize,
    out_channels: usize,
    null_label: Option<usize>,
}

impl Sit {
    /// The velocity `[batch, channels, size, size]` of `noisy` (same shape) at the told `timestep` `[batch]` under
    /// `labels` `[batch]`. With `learn_sigma` the second half of the output channels is dropped, as officially.
    ///
    /// Computes in the type of the weights; the result has the type of `noisy`.
    pub fn forward(&self, noisy: Tensor<4>, timestep: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<4> {
        self.forward_with_tokens(noisy, timestep, labels, None).0
    }

    /// [`Sit::forward`], and the tokens `[batch, tokens, width]` after the block `after`, counted from 0, if there is one.
    pub fn forward_with_tokens(
        &self,
        noisy: Tensor<4>,
        timestep: Tensor<1>,
        labels: Tensor<1, Int>,
        after: Option<usize>,
    ) -> (Tensor<4>, Option<Tensor<3>>) {
        let input_type = noisy.dtype();
        let [_, channels, height, width] = noisy.dims();
        let weight_type = self.pos_embed.val().dtype();
        let tokens = self.x_embedder.forward(noisy.cast(weight_type)) + self.pos_embed.val();
        let mut activated = cut(silu(self.t_embedder.forward(timestep) + self.y_embedder.forward(labels)));
        let (mut tokens, mut seen) = (cut(tokens), None);
        for (number, block) in self.blocks.iter().enumerate() {
            tokens = recomputed(block, &(tokens, activated.clone()), |b, (x, c)| b.forward_activated(x, c));
            if after == Some(number) {
                seen = Some(tokens.tensor());
                tokens = passed(&tokens);
            }
            if after.is_some() {
                activated = passed(&activated);
            }
        }
        let tokens = self.final_layer.forward_activated(tokens.tensor(), activated.tensor());
        let image = self.unpatchify(tokens, height / self.patch_size, width / self.patch_size);
        (image.narrow(1, 0, channels).cast(input_type), seen)
    }

    /// Tokens `[batch, rows * columns, p * p * channels]`, channels fastest, to an image.
    fn unpatchify(&self, tokens: Tensor<3>, rows: usize, columns: usize) -> Tensor<4> {
        let [batch, _, _] = tokens.dims();
        let (p, c) = (self.patch_size, self.out_channels);
        let image: Tensor<6> = tokens.reshape([batch, rows, columns, p, p, c]).permute([0, 5, 1, 3, 2, 4]);
        image.reshape([batch, c, rows * p, columns * p])
    }
}

impl PredictionNetwork<4> for Sit {
    type Condition = Tensor<1, Int>;

    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &Self::Condition) -> Prediction<4> {
        self.forward(noisy, timestep, condition.clone()).into()
    }

    /// The null label is `num_classes`; without class dropout there is none.
    fn drop_condition(&self, condition: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        self.null_label.map(|null| crate::models::replace_labels(condition, dropped, null))
    }
}
