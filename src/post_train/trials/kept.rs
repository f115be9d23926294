//! Distances that were found, in files named by a hash of what made them.
use crate::{Error, Result, digest, storage};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The first 16 hex digits of the SHA-256 of a text and of the weights, which are initialised here if they are not yet.
pub(super) fn name<M: Module>(text: &str, weights: &M) -> String {
    struct Hash(Sha256);
    impl ModuleVisitor for Hash {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.update(param.val().into_data().as_bytes());
        }
    }
    let mut hash = Hash(Sha256::new());
    hash.0.update(text);
    weights.visit(&mut hash);
    digest::hex(hash.0.finalize(), 8)
}

/// The `count` distances of a file, if it is there and whole.
pub(super) fn read(file: &Path, count: usize) -> Option<Vec<f64>> {
    let distances: Vec<f64> = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (distances.len() == count).then_some(distances)
}

/// Writes a file that is there whole or not at all.
pub(super) fn write(file: &Path, distances: &[f64]) -> Result<()> {
    let text = serde_json::to_string(distances).map_err(|e| Error::format(file, e.to_string()))?;
    if let Some(folder) = file.parent() {
        storage::create_folder(folder)?;
    }
    storage::write(file, text.as_bytes())
}
