//! REPA: SiT whose middle tokens are aligned with an encoder's features (Yu et al. 2024, arXiv 2410.06940), as its
//! official code computes it.
//!
//! Loss = velocity loss + weight · alignment, alignment = −mean cosine(projector(tokens after block `encoder_depth`),
//! features). The weights are those of the reversed convention, 0 data and 1 noise; [`Repa::predict`] speaks this
//! crate's time. Without features (sampling, validation) the projectors do not run.
//! ```
//! use burn_mixflow::models::RepaConfig;
//! let config = RepaConfig::named("SiT-XL/2").unwrap();
//! assert_eq!(config.parameter_count(), 683_242_512);
//! ```
mod alignment;
mod condition;
mod config;
mod projector;

pub(crate) use alignment::alignment_loss;
pub use condition::RepaCondition;
pub use config::RepaConfig;
pub(crate) use projector::Projector;
pub use projector::{project, projector};

use crate::models::Sit;
use crate::network::{Prediction, PredictionNetwork};
use crate::path::reversed;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Where the names of this crate differ from those in official checkpoints: (here, there).
pub const OFFICIAL_NAMES: &[(&str, &str)] = &[
    ("trunk.pos_embed", "pos_embed"),
    ("trunk.x_embedder", "x_embedder"),
    ("trunk.t_embedder.first", "t_embedder.mlp.0"),
    ("trunk.t_embedder.second", "t_embedder.mlp.2"),
    ("trunk.y_embedder", "y_embedder"),
    ("trunk.blocks", "blocks"),
    ("trunk.final_layer", "final_layer"),
    ("modulation", "adaLN_modulation.1"),
];

/// The network; made by [`RepaConfig::init`].
#[derive(Module, Debug)]
pub struct Repa {
    trunk: Sit,
    projectors: Vec<Projector>,
    encoder_depth: usize,
    alignment_weight: f64,
}

impl Repa {
    /// The official forward pass: the reversed velocity of `noisy` `[batch, channels, size, size]` (same shape) at the
    /// reversed `time` `[batch]` under `labels` `[batch]`, and the projected tokens `[batch, tokens, z_dim]` of every
    /// encoder.
    pub fn forward(&self, noisy: Tensor<4>, time: Tensor<1>, labels: Tensor<1, Int>) -> (Tensor<4>, Vec<Tensor<3>>) {
        let after = self.encoder_depth.checked_sub(1);
        let (velocity, tokens) = self.trunk.forward_with_tokens(noisy, time, labels, after);
        let projected = |tokens: Tensor<3>| self.projectors.iter().map(|p| project(p, tokens.clone())).collect();
        (velocity, tokens.map_or(Vec::new(), projected))
    }
}

impl PredictionNetwork<4> for Repa {
    type Condition = RepaCondition;

    /// The velocity, and the weighted alignment loss if the condition has features.
    ///
    /// # Panics
    /// If the features are not those of this network's encoders; [`RepaConfig::condition`] tells.
    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &RepaCondition) -> Prediction<4> {
        let (time, labels) = (reversed::time(timestep), condition.labels.clone());
        if condition.features.is_empty() {
            return reversed::velocity(self.trunk.forward(noisy, time, labels)).into();
        }
        let (velocity, projected) = self.forward(noisy, time, labels);
        let alignment = alignment_loss(projected, &condition.features);
        Prediction {
            output: reversed::velocity(velocity),
            auxiliary_loss: Some(alignment.mul_scalar(self.alignment_weight)),
        }
    }

    /// Drops labels alone, as officially; the null label is `num_classes`, and without class dropout there is none.
    fn drop_condition(&self, condition: &RepaCondition, dropped: &[bool]) -> Option<RepaCondition> {
        let labels = self.trunk.drop_condition(&condition.labels, dropped)?;
        Some(RepaCondition { labels, features: condition.features.clone() })
    }
}
