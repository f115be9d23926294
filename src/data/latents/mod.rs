//! Latents on disk, as REPA's preprocessing and RAE's encoder leave them, with target features and text embeddings.
//!
//! A [`LatentsConfig`] names the folders; [`LatentsConfig::open`] lists the files and checks the first item. The
//! numbers are read when an item is asked for, so a folder can be larger than the memory. [`LatentBatcher`] makes
//! batches; the functions beside it stack features and embeddings for other kinds of conditions.
//!
//! ```text
//! vae-sd/dataset.json                         {"labels": [["00000/img-mean-std-00000000.npy", 6], …]}
//! vae-sd/00000/img-mean-std-00000000.npy      [2C, H, W]: mean and standard deviation of the posterior
//! features/00000/img-feature-00000000.npy     [tokens, width]: what a REPA projector is aligned with
//! text/00000/img-text-00000000.safetensors    `context` [tokens, width] and `pooled` [width]
//! text/null.safetensors                       the same of the empty prompt
//! ```
//! Files of one item are those at the same place in the sorted lists; numbers at the end of their names must agree.
mod array;
mod batcher;
mod config;
mod images;
mod item;
mod listing;
pub(crate) mod npy;
mod scaling;
mod set;

pub use array::Array;
pub use batcher::{LatentBatcher, stack_features, stack_labels, stack_latents, stack_texts};
pub use config::LatentsConfig;
pub use images::ImageFolder;
pub use item::{LatentItem, TextItem};
pub use scaling::LatentScaling;
pub use set::{LatentSet, LatentSplit};

#[cfg(test)]
mod tests;
