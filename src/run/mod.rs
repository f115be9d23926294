//! From a JSON to a trained network: one stage of training, and the whole way of an official checkpoint.
//!
//! [`Stage`] joins the parts of this crate to Burn's `SupervisedTraining`: keyed loaders, the objective, metrics,
//! TensorBoard, checkpoints that resume. [`System`] does what a user of SiT, REPA, RAE or Stable Diffusion 3.5
//! wants: load the official weights, post-train, sample, write the weights back.
mod samples;
mod stage;
mod system;

pub use samples::Samples;
pub use stage::{Stage, Trained};
pub use system::System;
