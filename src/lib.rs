//! MixFlow post-training for any Burn flow-matching or diffusion model.
//!
//! A network is trained on exact mixtures of noise and data, and samples from its own imperfect states. MixFlow
//! ([arXiv 2512.19311](https://arxiv.org/abs/2512.19311)) observes that the state reached at sampling timestep `t`
//! resembles an exact mixture at an earlier, noisier *slowed timestep* `m <= t`. So it trains there: `t ~ Beta(2, 1)`,
//! `m ~ U[(1−γ)t, t]`, the network sees `x_m`, is told `t`, and regresses the velocity. Sampling does not change.
//!
//! Time runs from 0 (noise `x0`) to 1 (data `x1`) everywhere in this crate.
//!
//! | you want | go to |
//! |---|---|
//! | a first program | [`prelude`] |
//! | one training with average, checkpoints, metrics and resuming | [`post_train::Stage`] |
//! | Burn's learner, set up by yourself | [`train::MixFlowTrainStep`] |
//! | a loop of your own | the example below |
//! | to choose γ for your network, or to see whether MixFlow helps it | [`post_train::Trials`] |
//! | samples | [`sample::Sampler`] |
//! | the paper | [`timestep`] |
//! | the paper's networks; distances; data; whole experiments from one file | the features `models`, `evaluate`, `data`, `experiment` |
//!
//! # A loop of your own
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamWConfig, GradientsParams};
//! use burn::prelude::*;
//! use burn_mixflow::prelude::*;
//!
//! #[derive(Module, Debug)]
//! struct Mine {
//!     layer: Linear,
//! }
//!
//! impl PredictionNetwork<2> for Mine {
//!     type Condition = ();
//!     fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
//!         self.layer.forward(Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1)).into()
//!     }
//! }
//!
//! let device = Device::flex().autodiff();
//! let mut network = Mine { layer: LinearConfig::new(3, 2).init(&device) };
//! let (strategy, objective) = (StrategyConfig::mixflow(0.4).build(None)?, Objective::default());
//! let mut ema = Ema::new(&network, EmaConfig::default())?;
//! let mut optimizer = AdamWConfig::new().init();
//! let mut losses = Vec::new();
//! for step in 0..200 {
//!     let data = Tensor::<2>::ones([64, 2], &device) * 3; // yours
//!     let draws = Draws::of(&SampleKey::batch(0, step, 64), &data, strategy.as_ref()); // noise, t and m
//!     let noisy = interpolate(&PathConfig::Linear, data.clone(), draws.noise.clone(), &draws.slowed());
//!     let output = network.predict(noisy, draws.training(&device), &()).output;
//!     let loss = objective.loss(output, data, draws.noise, &draws.timesteps).mean();
//!     losses.push(loss.clone().into_scalar::<f32>());
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimizer.step(1e-2, network, gradients);
//!     ema.update(&network);
//! }
//! assert!(losses[199] < 0.5 * losses[0]);
//!
//! let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 10, 256))?;
//! let samples = sampler.sample(&ema.network().valid(), &(), [1000, 2], 0, &Device::flex(), &mut |_| ())?;
//! assert_eq!(samples.dims(), [1000, 2]);
//! # Ok::<(), burn_mixflow::Error>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod adapter;
pub mod checkpoint;
mod device_memory;
mod digest;
pub mod error;
#[cfg(feature = "evaluate")]
mod host;
mod json;
pub mod monitor;
pub mod network;
#[cfg(feature = "fused")]
pub mod ops;
pub mod path;
pub mod post_train;
pub mod prelude;
pub mod random;
pub mod recompute;
#[cfg(feature = "remote")]
pub mod remote;
pub mod sample;
mod statistics;
mod stop;
mod storage;
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
pub use stop::{Hearing, Stop};
pub use storage::FolderLock;

/// The snippet of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
