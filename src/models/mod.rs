//! Networks that implement [`PredictionNetwork`](crate::network::PredictionNetwork), ready to post-train.
//!
//! [`ResidualMlp`] learns small vectors and images in minutes on a CPU. The four systems of the paper, whose official
//! weights load through [`weights`]: [`Sit`], [`Repa`] (SiT with projectors and
//! an alignment loss), [`Rae`] (DiT^DH, with its decoder) and [`Mmdit`] (Stable Diffusion 3.5). Initial weights are a
//! pure function of a seed ([`layers::WeightInit`]), the same on every device.
#[cfg(feature = "experiment")]
mod activations;
mod any;
mod condition;
pub mod encoders;
mod imagenet;
mod kept_in_f32;
pub mod layers;
pub mod mmdit;
pub mod rae;
pub mod repa;
pub mod residual_mlp;
pub mod sit;
mod size_limit;
pub mod weights;

pub use any::{Network, NetworkConfig, ParameterCount};
pub use condition::NetworkCondition;
pub use mmdit::{Mmdit, MmditConfig};
pub use rae::{Rae, RaeConfig};
pub use repa::{Repa, RepaCondition, RepaConfig};
pub use residual_mlp::{ResidualMlp, ResidualMlpConfig};
pub use sit::{Sit, SitConfig};
#[cfg(feature = "experiment")]
pub(crate) use size_limit::{heaviest, readable};

use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Labels `[batch]` with the marked samples replaced by `null`.
pub(crate) fn replace_labels(labels: &Tensor<1, Int>, dropped: &[bool], null: usize) -> Tensor<1, Int> {
    let mask = Tensor::<1, Bool>::from_data(TensorData::from(dropped), &labels.device());
    labels.clone().mask_fill(mask, null as i64)
}
