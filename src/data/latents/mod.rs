//! Latents on disk, as REPA's preprocessing and RAE's encoder leave them, with target features and text embeddings.
//!
//! A [`LatentsConfig`] names the folders; [`LatentsConfig::open`] lists the files and checks the first item. The
//! numbers are read when an item is asked for, so a folder can be larger than the memory.
//!
//! ```text
//! vae-sd/dataset.json                         {"labels": [["00000/img-mean-std-00000000.npy", 6], …]}
//! vae-sd/00000/img-mean-std-00000000.npy      [2C, H, W]: mean and standard deviation of the posterior
//! features/00000/img-feature-00000000.npy     [tokens, width]: what a REPA projector is aligned with
//! text/00000/img-text-00000000.safetensors    `context` [tokens, width] and `pooled` [width]
//! text/null.safetensors                       the same of the empty prompt
//! ```
//! Files of one item are paired by their names: the same path, the same file name, or the same number at its end.
mod config;
mod labels;
mod mirrors;
mod pairs;
mod source;

pub use config::LatentsConfig;
pub(in crate::data) use config::is_zero;

#[cfg(test)]
mod tests;
