//! One stage of training from JSON: a [`StageConfig`] says how, a [`Stage`] runs it on Burn's learner.
//!
//! This is the last room of the plugin: [`Stage::run`] takes a network, data and a batcher of the user's own and gives
//! keyed loaders, metrics, TensorBoard and checkpoints that resume. [`Trials`] chooses a mixture range γ by short stages and
//! says whether MixFlow helps; [`gamma`] holds how it chooses.
mod config;
mod cut_renderer;
mod device;
mod fault_report;
pub mod gamma;
pub(crate) mod less_memory;
pub(crate) mod misfit;
mod optimizer;
pub(crate) mod remote_address;
mod replay;
mod save_cuts;
mod saving;
mod sitting;
mod stage;
mod trials;

pub use config::StageConfig;
pub use device::DeviceName;
pub use fault_report::{FaultReport, Key};
pub use optimizer::{Decay, OptimizerConfig, ScheduleConfig, Scheduler};
pub use replay::{Replay, ReplayedSample};
pub use saving::{CheckpointConfig, EarlyStopping};
pub use stage::{Stage, Trained};
pub use trials::{ArmDistances, TrialComparison, TrialData, TrialMeasure, Trials};
