//! What reading all files found, kept so that they are not read again before one of them changes.
//!
//! The key is a hash of what makes it: the program, what is expected of the files, and the path and the state of each.
use super::split::Placed;
use super::{DataSplit, file_state};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Below a folder of caches.
pub(super) const FOLDER: &str = "data";
/// Items that are looked at together.
const CHUNK: usize = 4096;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    /// How many items were read.
    pub items: usize,
    /// The names of those that are bad.
    pub bad: Vec<String>,
}

impl Verdict {
    /// What is kept in `file` of so many items; none if that is not there or something else.
    pub fn read(file: &Path, items: usize) -> Option<Self> {
        let kept: Self = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        (kept.items == items).then_some(kept)
    }

    /// Keeps it.
    pub fn keep(&self, file: &Path) {
        if let Ok(text) = serde_json::to_vec(self) {
            keep(file, &text);
        }
    }
}

/// Keeps what was found. Where that is impossible, the next start reads the files again.
pub(super) fn keep(file: &Path, text: &[u8]) {
    let part = file.with_extension(format!("{}.part", std::process::id()));
    let written = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = written.and_then(|()| std::fs::write(&part, text)).and_then(|()| std::fs::rename(&part, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
}

/// The file below `cache` for the verdict on these items, as they are on disk now.
///
/// # Errors
/// [`Error::Io`] naming a file whose state cannot be read.
pub(super) fn file(cache: &Path, split: &DataSplit, items: &[Placed]) -> Result<PathBuf> {
    let mut hash = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
    hash.update(split.train.expects());
    stamps(split, items, &mut hash)?;
    Ok(cache.join(FOLDER).join(format!("{}.json", crate::digest::hex(hash.finalize(), 16))))
}

/// Adds the path and the state of every file of these items to a hash.
///
/// # Errors
/// [`Error::Io`] naming a file whose state cannot be read.
pub(super) fn stamps(split: &DataSplit, items: &[Placed], hash: &mut Sha256) -> Result<()> {
    for items in items.chunks(CHUNK) {
        let stamps = items.par_iter().map(|item| stamp(&split.set(item).files(item.index)));
        stamps.collect::<Result<Vec<_>>>()?.iter().for_each(|stamp| hash.update(stamp));
    }
    Ok(())
}

fn stamp(files: &[PathBuf]) -> Result<String> {
    let one = |file: &PathBuf| {
        let failed = |e| Error::io(file, e);
        let path = std::path::absolute(file).map_err(failed)?;
        let state = match std::fs::metadata(file) {
            Ok(about) => file_state::of(&about),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "absent".into(),
            Err(error) => return Err(failed(error)),
        };
        Ok(format!("\0{}\0{state}", path.display()))
    };
    Ok(files.iter().map(one).collect::<Result<Vec<_>>>()?.concat())
}
