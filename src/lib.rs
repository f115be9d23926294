//! MixFlow post-training for any Burn flow-matching or diffusion model.
//!
//! A network trained on exact interpolations of noise and data samples from its own imperfect
//! states. MixFlow ([arXiv 2512.19311](https://arxiv.org/abs/2512.19311)) observes that the state
//! reached at sampling timestep `t` resembles an exact interpolation at an earlier, noisier
//! *slowed timestep* `m <= t`, and trains there: `t ~ Beta(2,1)`, `m ~ U[(1-γ)t, t]`, the network
//! sees `x_m`, is told `t`, and regresses the velocity. Sampling does not change.
//!
//! Time runs from 0 (noise `x0`) to 1 (data `x1`) everywhere in this crate.
//!
//! Where to go: [`prelude`] shows a first program; [`timestep`] is the paper; [`network::PredictionNetwork`] is what a model
//! implements; [`train::MixFlowTrainStep`] goes into Burn's `SupervisedTraining`; [`post_train::Stage`]
//! runs one stage from JSON; [`sample`] generates. Behind features stand the networks of the paper (`models`), distances
//! (`evaluate`), data (`data`) and whole comparisons from one file (`experiment`).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod checkpoint;
pub mod error;
#[cfg(feature = "evaluate")]
mod host;
pub mod monitor;
pub mod network;
pub mod path;
pub mod post_train;
pub mod prelude;
pub mod random;
pub mod sample;
mod statistics;
#[cfg(any(feature = "data", feature = "models"))]
mod tensor_file;
pub mod timestep;
pub mod train;

#[cfg(feature = "data")]
pub mod data;
#[cfg(feature = "evaluate")]
pub mod evaluate;
#[cfg(feature = "experiment")]
pub mod experiment;
#[cfg(feature = "models")]
pub mod models;

pub use error::{Error, Problem, Result};
