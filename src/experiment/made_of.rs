//! What decides the numbers of encodings and pictures beside their items: sizes and weights of networks.
use super::config::{TextConfig, WeightsConfig};
use super::kept_hash;
use crate::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A network: what it is, and a hash of each of its files; kept in `cache` if there is one.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if a file cannot be read.
pub(super) fn network(is: Value, files: &[&Path], cache: Option<&Path>) -> Result<Value> {
    let hashes = files.iter().map(|file| kept_hash::of_path(file, cache)).collect::<Result<Vec<_>>>()?;
    Ok(json!({"network": is, "files": hashes}))
}

/// A network with the weights that a configuration names: which file, and what is taken of it.
///
/// # Errors
/// As [`network`].
pub(super) fn weighted(is: Value, weights: &WeightsConfig, cache: Option<&Path>) -> Result<Value> {
    let mut taken = json!(weights);
    if let Some(keys) = taken.as_object_mut() {
        keys.retain(|key, _| key != "file" && key != "adapters");
    }
    let files: Vec<&Path> = [&weights.file].into_iter().chain(&weights.adapters).map(PathBuf::as_path).collect();
    network(json!([is, taken]), &files, cache)
}

/// The text encoders of Stable Diffusion 3.5.
///
/// # Errors
/// As [`network`].
pub(super) fn text(TextConfig { files, sizes }: &TextConfig, cache: Option<&Path>) -> Result<Value> {
    let is = json!([sizes, files.precision, files.t5_length, files.batch]);
    network(is, &[&files.clip_l, &files.clip_g, &files.t5, &files.clip_tokenizer, &files.t5_tokenizer], cache)
}
