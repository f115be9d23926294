//! Checkpoint sets that are complete or absent.
mod manifest;
mod sets;

#[cfg(feature = "experiment")]
pub(crate) use sets::newest_epoch;
pub use sets::{CheckpointSets, Part};

/// The folder of checkpoint sets in that of a training.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
