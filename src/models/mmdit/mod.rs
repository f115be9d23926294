//! MMDiT-X, the transformer of Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv 2403.03206), as its official code
//! computes it.
//!
//! Image tokens and text tokens have weights of their own and attend jointly; every block is modulated by the timestep
//! and the pooled text. The weights speak the reversed convention: they are told 1000 σ with σ = 1 − t, and answer
//! ε − x1. [`Mmdit::forward`] is that network, [`PredictionNetwork::predict`] the same one in the paper's convention.
//! ```
//! use burn_mixflow::models::mmdit::MmditConfig;
//! let config = MmditConfig::named("sd3.5-medium").unwrap();
//! assert_eq!(config.parameter_count(), 2_243_171_520);
//! ```
mod attention;
mod block;
mod condition;
mod config;
mod diffusers;
mod embed;
mod parameters;
mod shapes;

pub(crate) use attention::{Heads, JointAttention};
pub(crate) use block::JointBlock;
pub use condition::{NullText, TextCondition};
pub use config::MmditConfig;
pub(crate) use diffusers::parts as diffusers_parts;
pub(crate) use embed::PooledEmbedding;

use crate::models::layers::{TimestepEmbedding, linear};
use crate::models::sit::{FinalLayer, PatchEmbedding};
use crate::network::{Prediction, PredictionNetwork};
use crate::ops::silu;
use crate::path::reversed;
use crate::recompute::{cut, passed, recomputed};
use crate::{Error, Result};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;

/// Where the names of this crate differ from those in official checkpoints: (here, there).
pub const OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("t_embedder.first", "t_embedder.mlp.0"),
    ("t_embedder.second", "t_embedder.mlp.2"),
    ("y_embedder.first", "y_embedder.mlp.0"),
    ("y_embedder.second", "y_embedder.mlp.2"),
    ("modulation", "adaLN_modulation.1"),
];

/// What released checkpoints put in front of every name of the network.
pub const CHECKPOINT_PREFIX: &str = "model.diffusion_model.";

/// The network is told σ times this.
const TOLD_SCALE: f64 = 1000.0;

/// Half the number of sinusoidal features of the timestep.
const HALF_FEATURES: usize = 128;

/// Values of a head.
const HEAD_SIZE: usize = 64;

/// The network; made by [`MmditConfig::init`].
#[derive(Module, Debug)]
pub struct Mmdit {
    /// The position of every patch of the largest square, `[1, pos_embed_max_size², width]`; never trained.
    pub pos_embed: Param<Tensor<3>>,
    /// Patches of the latent to tokens.
    pub x_embedder: PatchEmbedding,
    /// The told timestep.
    pub t_embedder: TimestepEmbedding,
    /// The pooled text, where the network has one.
    pub y_embedder: Option<PooledEmbedding>,
    /// Text tokens to the width of the network.
    pub context_embedder: Linear,
    /// The blocks, in order.
    pub joint_blocks: Vec<JointBlock>,
    /// Tokens to patches.
    pub final_layer: FinalLayer,
    patch_size: usize,
    pos_embed_max_size: usize,
    skipped: Vec<usize>,
}

impl Mmdit {
    /// ε − x1 `[batch, channels, height, width]` as the weights answer it, for `noisy` of the same shape, `told`
    /// `[batch]` = 1000 σ, `pooled` `[batch, pooled_width]` and `context` `[batch, length, context_width]`.
    ///
    /// Without `pooled` the timestep alone modulates; a network without a pooled width does not look at it. Computes in
    /// the type of the weights; the result has the type of `noisy`.
    ///
    /// # Panics
    /// If [`check_size`](Self::check_size) refuses the height and width, or widths are not those of the configuration.
    pub fn forward(
        &self,
        noisy: Tensor<4>,
        told: Tensor<1>,
        pooled: Option<Tensor<2>>,
        context: Tensor<3>,
    ) -> Tensor<4> {
        let [_, channels, height, width] = noisy.dims();
        let input_type = noisy.dtype();
        let weight_type = self.context_embedder.weight.val().dtype();
        let (rows, columns) = (height / self.patch_size, width / self.patch_size);
        let tokens = self.x_embedder.forward(noisy.cast(weight_type)) + self.positions(rows, columns);
        let context = linear(&self.context_embedder, context.cast(weight_type));
        let condition = cut(self.condition(told, pooled.map(|p| p.cast(weight_type))));
        let mut streams = (cut(context), cut(tokens));
        for (_, block) in self.joint_blocks.iter().enumerate().filter(|(i, _)| !self.skipped.contains(i)) {
            // Both streams read the condition.
            let inputs = (streams, passed(&condition));
            streams =
                recomputed(block, &inputs, |b, ((context, tokens), condition)| b.forward(context, tokens, condition));
        }
        let patches = self.final_layer.forward_activated(streams.1.tensor(), condition.tensor());
        self.unpatchify(patches, channels, rows, columns).cast(input_type)
    }

    /// SiLU(timestep + pooled text) `[batch, width]`, what every block and the final layer are modulated by.
    pub fn condition(&self, told: Tensor<1>, pooled: Option<Tensor<2>>) -> Tensor<2> {
        let timestep = self.t_embedder.forward(told);
        silu(match (&self.y_embedder, pooled) {
            (Some(embedder), Some(pooled)) => timestep + embedder.forward(pooled),
            _ => timestep,
        })
    }

    /// The positions `[1, rows * columns, width]` of the patches in the middle of the largest square.
    ///
    /// # Panics
    /// If rows or columns are more than `pos_embed_max_size`.
    pub fn positions(&self, rows: usize, columns: usize) -> Tensor<3> {
        let side = self.pos_embed_max_size;
        assert!(rows <= side && columns <= side, "{rows} x {columns} patches are more than {side} x {side} positions");
        let table = self.pos_embed.val();
        let (width, weight_type) = (table.dims()[2], self.context_embedder.weight.val().dtype());
        let middle = table.reshape([side, side, width]).narrow(0, (side - rows) / 2, rows).narrow(
            1,
            (side - columns) / 2,
            columns,
        );
        middle.reshape([1, rows * columns, width]).cast(weight_type)
    }

    /// Whether the network takes latents of this height and width.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless both are positive multiples of the patch and at most `pos_embed_max_size` patches.
    pub fn check_size(&self, height: usize, width: usize) -> Result<()> {
        let (patch, side) = (self.patch_size, self.pos_embed_max_size);
        let fits = |length: usize| length > 0 && length.is_multiple_of(patch) && length / patch <= side;
        if fits(height) && fits(width) {
            return Ok(());
        }
        let largest = patch * side;
        Err(Error::Invalid(format!(
            "a latent of {height} x {width}: both must be positive multiples of {patch} and at most {largest}"
        )))
    }

    /// The same network, weights shared, without the joint blocks of these indices: the weak prediction of skip-layer
    /// guidance (7, 8 and 9 for SD3.5 medium). Indices that do not exist skip nothing.
    pub fn skipping(&self, blocks: &[usize]) -> Self {
        let mut weak = self.clone();
        weak.skipped.extend(blocks);
        weak
    }

    /// Patches `[batch, rows * columns, p * p * channels]`, channels fastest, to a latent.
    fn unpatchify(&self, patches: Tensor<3>, channels: usize, rows: usize, columns: usize) -> Tensor<4> {
        let [batch, _, _] = patches.dims();
        let p = self.patch_size;
        let image: Tensor<6> = patches.reshape([batch, rows, columns, p, p, channels]).permute([0, 5, 1, 3, 2, 4]);
        image.reshape([batch, channels, rows * p, columns * p])
    }
}

impl PredictionNetwork<4> for Mmdit {
    type Condition = TextCondition;

    /// Tells the weights 1000 (1 − t) and returns −(ε − x1) = x1 − ε.
    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &TextCondition) -> Prediction<4> {
        let reversed_network = |noisy: Tensor<4>, sigma: Tensor<1>| {
            self.forward(noisy, sigma.mul_scalar(TOLD_SCALE), condition.pooled.clone(), condition.context.clone())
        };
        reversed::from_reversed(reversed_network, noisy, timestep).into()
    }

    /// Puts the encoding of the empty prompt in place; `None` where [`TextCondition::drop`] has no such encoding.
    fn drop_condition(&self, condition: &TextCondition, dropped: &[bool]) -> Option<TextCondition> {
        condition.drop(dropped)
    }
}
