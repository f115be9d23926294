//! Networks that implement [`PredictionNetwork`](crate::network::PredictionNetwork), ready to post-train.
//!
//! [`ResidualMlp`] learns small vectors and images in minutes on a CPU;
//! [`Sit`] is the Scalable Interpolant Transformer of ImageNet latents, whose official weights
//! load through [`checkpoint::weights`](crate::checkpoint::weights). Initial weights are a pure function of a seed
//! ([`layers::init`]), the same on every device.
mod any;
pub mod layers;
pub mod residual_mlp;
pub mod sit;

pub use any::{Network, NetworkConfig};
pub use residual_mlp::{ResidualMlp, ResidualMlpConfig};
pub use sit::{Sit, SitConfig};

use crate::Problem;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Labels `[batch]` with the marked samples replaced by `null`.
pub(crate) fn replace_labels(labels: &Tensor<1, Int>, dropped: &[bool], null: usize) -> Tensor<1, Int> {
    let mask = Tensor::<1, Bool>::from_data(TensorData::from(dropped), &labels.device());
    labels.clone().mask_fill(mask, null as i64)
}

/// Turns tracking of gradients off for one parameter or module.
pub(crate) fn frozen<M: Module>(module: M) -> M {
    module.no_grad()
}

/// Adds the problem `value: condition` at `path.key` unless `holds`.
pub(crate) fn require(
    problems: &mut Vec<Problem>,
    holds: bool,
    path: &str,
    key: &str,
    value: impl std::fmt::Display,
    condition: &str,
) {
    if !holds {
        let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        problems.push(Problem { path, message: format!("= {value}: {condition}") });
    }
}
