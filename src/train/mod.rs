//! Training: [`MixFlowTrainStep`] goes where a model goes in Burn's `SupervisedTraining`.
//!
//! In order: an [`EpochLoader`] (or any Burn loader) yields a [`FlowBatch`]; [`Draws`] turns its keys
//! into noise, timesteps and condition dropout; the network predicts at `x_m` told `t`; [`Objective`]
//! compares with the target, and [`AntiDriftConfig`] and [`MagnitudeConfig`] may add a loss; Burn's optimizer updates the raw weights
//! after the gradients were checked and clipped; the [`ema`] follows. Validation uses the EMA and the plain loss.
mod ahead;
mod anti_drift;
mod batch;
mod batches;
mod contributions;
mod count;
mod drawn_noise;
mod draws;
pub mod ema;
mod fault;
pub(crate) mod gradients;
mod input;
mod keys;
mod loader;
mod loader_builder;
mod loss;
mod magnitude;
pub mod metrics;
mod non_finite;
mod norm;
mod output;
mod pass;
mod precision;
mod run_state;
mod segments;
mod settings;
mod shards;
mod step;
mod step_builder;
mod weights;

pub use anti_drift::AntiDriftConfig;
pub use batch::FlowBatch;
pub use drawn_noise::DrawnNoise;
pub use draws::Draws;
pub use ema::{Ema, EmaConfig};
pub use fault::Fault;
pub use gradients::{clip_by_global_norm, global_norm};
pub use input::{InputConfig, RolloutTarget};
pub use loader::EpochLoader;
pub use loader_builder::EpochLoaderBuilder;
pub use loss::{LossWeight, Objective, TargetTime};
pub use magnitude::MagnitudeConfig;
pub use non_finite::NonFinitePolicy;
pub use output::FlowOutput;
pub use precision::Precision;
pub(crate) use run_state::{Remembered, RunState, Skips};
pub(crate) use segments::{Cuts, Segments};
pub use shards::Sharding;
pub use step::MixFlowTrainStep;
pub use step_builder::TrainStepBuilder;
