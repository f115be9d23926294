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
//! Where to go: [`timestep`] is the paper; [`network::PredictionNetwork`] is what a model
//! implements; [`train::MixFlowTrainStep`] goes into Burn's `SupervisedTraining`; [`config`] is the
//! JSON; [`sample`] and [`evaluate`] measure the result; [`slow_flow`] measures what MixFlow repairs
//! and how large a γ the data bear.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod checkpoint;
pub mod config;
pub mod data;
pub mod error;
pub mod evaluate;
mod host;
pub mod models;
pub mod monitor;
pub mod network;
pub mod path;
pub mod random;
pub mod run;
pub mod sample;
pub mod slow_flow;
pub mod timestep;
pub mod train;

pub use error::{Error, Problem, Result};
