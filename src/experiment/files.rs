//! Folders and files of a run.
use crate::{Error, Result, digest, storage, tensor_file};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Io`] if that is impossible.
pub fn create(folder: &Path) -> Result<()> {
    storage::create_folder(folder)
}

/// Writes a file that is there whole or not at all, whenever the process is killed.
///
/// # Errors
/// [`Error::Io`] if it cannot be written.
pub fn write(file: &Path, text: &str) -> Result<()> {
    write_bytes(file, text.as_bytes())
}

/// As [`write`], any bytes.
pub fn write_bytes(file: &Path, bytes: &[u8]) -> Result<()> {
    storage::write(file, bytes)
}

/// `value` as indented JSON.
///
/// # Errors
/// [`Error::Invalid`] for a value that JSON cannot hold.
pub fn pretty(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::Invalid(e.to_string()))
}

/// What a JSON file holds; none if there is no such file or it holds something else.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// The first 16 hexadecimal digits of the SHA-256 hash of `text`.
pub(super) fn hash(text: &str) -> String {
    digest::hex(Sha256::digest(text), 8)
}

/// `name` with everything but ASCII letters, digits, dots and underscores replaced by single hyphens.
pub(super) fn slug(name: &str) -> String {
    let name = name.replace('γ', "gamma").replace('δ', "delta").replace('λ', "lambda");
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' };
    let hyphens: String = name.chars().map(kept).collect();
    hyphens.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
}

/// A hash of what a file holds; of a folder, or of a list of shards, of what its files hold.
///
/// # Errors
/// [`Error::Io`] if one cannot be read.
pub(super) fn content_hash(path: &Path) -> Result<String> {
    hash_of_files(&listed(path)?, |_| ())
}

/// A hash of what files hold, one after the other; `said` hears how many are read.
///
/// # Errors
/// [`Error::Io`] if one cannot be read.
pub(super) fn hash_of_files(files: &[PathBuf], mut said: impl FnMut(u64)) -> Result<String> {
    let mut hash = Sha256::new();
    for (done, file) in files.iter().enumerate() {
        digest::add_file(&mut hash, file).map_err(|e| Error::io(file, e))?;
        said(done as u64 + 1);
    }
    Ok(digest::hex(hash.finalize(), 32))
}

/// The file itself; of a folder, or of a list of shards, its files.
///
/// # Errors
/// [`Error::Io`] if a folder cannot be read.
pub(super) fn listed(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = match path.is_dir() {
        true => {
            let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<Vec<_>>>()
                .map_err(|e| Error::io(path, e))?
        }
        false => tensor_file::files(path).unwrap_or_else(|_| vec![path.to_path_buf()]),
    };
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_names_of_files() {
        assert_eq!(slug("MixFlow γ = 0.1 (U, m ≤ t)"), "mixflow-gamma-0.1-u-m-t");
    }

    #[test]
    fn a_written_file_is_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        write(&file, "[1, 2]").unwrap();
        assert_eq!(read::<Vec<u8>>(&file), Some(vec![1, 2]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(read::<Vec<u8>>(&folder.path().join("b.json")), None);
    }
}
