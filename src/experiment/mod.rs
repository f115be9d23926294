//! From a JSON to a trained network: one stage of training, a whole experiment, an ablation, an official checkpoint.
//!
//! [`Experiment`] pretrains once and post-trains from that; [`Comparison`]
//! measures what comes out; [`Ablation`] does it for every arm, sampler, budget and seed of a table. [`System`] does
//! what a user of SiT, REPA, RAE or Stable Diffusion 3.5 wants: load the official weights, post-train, sample, write
//! the weights back.
mod ablation;
mod comparison;
pub mod config;
mod experiment;
pub mod files;
mod gamma_search;
pub mod plot;
pub mod progress;
mod samples;
pub mod slow_flow;
pub mod statistics;
mod system;
mod system_pilots;

pub use ablation::{Ablation, Job, Results, Row};
pub use comparison::{Comparison, Metric, image_range};
pub use experiment::{Experiment, ImageBatcher, PostTraining, Setting, is_pretrained, save, weights_file};
pub use gamma_search::GammaSearch;
pub use samples::Samples;
pub use system::System;
