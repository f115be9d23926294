//! Checkpoint sets that are complete or absent, and official weights in and out.
mod manifest;
mod sets;
pub mod weights;

pub use sets::{CheckpointSets, Part};
