//! From a JSON to a trained network: one stage of training, and the whole way of an official checkpoint.
//!
//! [`Stage`] joins the parts of this crate to Burn's `SupervisedTraining`: keyed loaders, the objective, metrics,
mod stage;

pub use stage::{Stage, Trained};
