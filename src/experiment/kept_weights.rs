//! The weights that a finished training leaves in its folder.
use crate::models::Network;
use crate::{Error, Result};
use burn::module::Module;
use std::path::{Path, PathBuf};

/// The file of the averaged weights in a folder.
pub(super) fn weights_file(folder: &Path) -> PathBuf {
    folder.join("ema.bpk")
}

/// The folder that holds the averaged weights `ema.bpk` of an earlier run: its own, or the `post_train` below it.
pub fn folder_of_weights(run: &Path) -> Option<PathBuf> {
    [run.to_path_buf(), run.join("post_train")].into_iter().find(|folder| has_weights(folder))
}

/// The file of the averaged weights of an earlier run; where it would be if there is none.
pub(super) fn weights_of_run(run: &Path) -> PathBuf {
    weights_file(&folder_of_weights(run).unwrap_or_else(|| run.to_path_buf()))
}

/// Whether a folder holds finished weights.
pub(super) fn has_weights(folder: &Path) -> bool {
    weights_file(folder).exists()
}

/// Writes weights; the file is there whole or not at all.
pub(super) fn save(network: &Network, file: &Path) -> Result<()> {
    let part = file.with_extension("part.bpk");
    network.clone().into_record().save(&part).map_err(|e| Error::format(&part, e.to_string()))?;
    std::fs::rename(&part, file).map_err(|e| Error::io(file, e))
}
