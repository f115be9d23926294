//! Networks that implement [`PredictionNetwork`](crate::network::PredictionNetwork), ready to post-train.
//!
//! [`ResidualMlp`] learns small vectors and images in minutes on a CPU;
//! [`Sit`] is the Scalable Interpolant Transformer of ImageNet latents and [`Mmdit`] the transformer of Stable
//! Diffusion 3.5, whose official weights load through [`checkpoint::weights`](crate::checkpoint::weights).
//! Initial weights are a pure function of a seed ([`layers::init`]), the same on every device.
mod any;
pub mod layers;
pub mod mmdit;
pub mod residual_mlp;
pub mod sit;

pub use any::{Network, NetworkConfig};
pub use mmdit::{Mmdit, MmditConfig};
pub use residual_mlp::{ResidualMlp, ResidualMlpConfig};
pub use sit::{Sit, SitConfig};

use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Labels `[batch]` with the marked samples replaced by `null`.
pub(crate) fn replace_labels(labels: &Tensor<1, Int>, dropped: &[bool], null: usize) -> Tensor<1, Int> {
    let mask = Tensor::<1, Bool>::from_data(TensorData::from(dropped), &labels.device());
    labels.clone().mask_fill(mask, null as i64)
}
