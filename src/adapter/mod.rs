//! Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): W + (α/r) · A B, of which only A and B are trained.
//!
//! W `[inputs, outputs]` is a weight of a network that was trained before, A is `[inputs, r]` and B `[r, outputs]`. B starts
//! at zero, so that the first step computes what W alone does, bit for bit. They are Burn's own
//! [`LoraAdapter`](burn::module::LoraAdapter): the network's code does not change, as its layers find the sum where W was.
//! W and everything without an adapter are frozen: they are not averaged, not clipped and not in checkpoints, and the network
//! and its average share them.
//!
//! [`AdapterConfig`] says in JSON which layers get them, and
//! [`TrainStepBuilder::with_adapter`](crate::train::TrainStepBuilder::with_adapter) trains them.
mod attach;
mod config;
mod layer;
mod parameters;

pub(crate) use attach::attach;
pub use config::{AdapterConfig, BaseType, LoraConfig};
#[cfg(feature = "models")]
pub(crate) use layer::{Layer, Linears, misfits};
pub use parameters::merged;
pub(crate) use parameters::{Place, base_digest, has_adapters, recorded};
