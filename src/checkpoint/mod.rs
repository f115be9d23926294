//! Checkpoint sets that are complete or absent.
mod manifest;
mod sets;

pub use sets::{CheckpointSets, Part};
