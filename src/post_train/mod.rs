//! One stage of training from JSON: a [`StageConfig`] says how, a [`Stage`] runs it on Burn's learner.
//!
//! This is the last room of the plugin: [`Stage::run`] takes a network, data and a batcher of the user's own and gives
//! keyed loaders, metrics, TensorBoard and checkpoints that resume. [`gamma`] chooses a mixture range γ by short stages.
mod config;
mod device;
pub mod gamma;
mod optimizer;
mod stage;

pub use config::StageConfig;
pub use device::DeviceName;
pub use optimizer::{Decay, OptimizerConfig, ScheduleConfig, Scheduler};
pub use stage::{Stage, Trained};
