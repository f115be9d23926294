//! Hashes of what files hold, kept so that a file is not read again before it changes.
use super::files;
use crate::data::file_state;
use crate::{Error, Result, digest};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Where they are kept, below a folder of caches.
const FOLDER: &str = "files";

/// What [`files::content_hash`] says of `path`; kept in `cache`, if there is one.
///
/// # Errors
/// [`Error::Io`] if a file cannot be read.
pub(super) fn of_path(path: &Path, cache: Option<&Path>) -> Result<String> {
    match cache {
        Some(cache) => kept(&files::listed(path)?, cache, || files::content_hash(path)),
        None => files::content_hash(path),
    }
}

/// What `read` finds of these files, in their order; kept in `cache` under the path and the state of each.
///
/// # Errors
/// Those of `read`; [`Error::Io`] naming a file whose state cannot be read.
pub(super) fn kept(of: &[PathBuf], cache: &Path, read: impl FnOnce() -> Result<String>) -> Result<String> {
    let mut key = Sha256::new();
    for file in of {
        let failed = |e| Error::io(file, e);
        let state = file_state::of(&std::fs::metadata(file).map_err(failed)?);
        let path = std::path::absolute(file).map_err(failed)?;
        key.update(format!("{}\0{state}\0", path.display()));
    }
    let file = cache.join(FOLDER).join(format!("{}.json", digest::hex(key.finalize(), 16)));
    if let Some(Kept { hash, checksum }) = files::read(&file)
        && digest::sha256(hash.as_bytes()) == checksum
    {
        return Ok(hash);
    }
    let hash = read()?;
    let checksum = digest::sha256(hash.as_bytes());
    // Where that is impossible, the next start reads the files again.
    if let Ok(text) = files::pretty(&Kept { hash: hash.clone(), checksum }) {
        let _ = files::create(&cache.join(FOLDER)).and_then(|()| files::write(&file, &text));
    }
    Ok(hash)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    hash: String,
    checksum: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a"), folder.path().join("cache"));
        let reads = Cell::new(0);
        let hash = || {
            kept(std::slice::from_ref(&file), &cache, || {
                reads.set(reads.get() + 1);
                files::content_hash(&file)
            })
            .unwrap()
        };
        std::fs::write(&file, "one").unwrap();
        let first = hash();
        assert_eq!((hash(), reads.get()), (first.clone(), 1));
        std::fs::write(&file, "others").unwrap();
        assert_ne!(hash(), first);
        assert_eq!(reads.get(), 2);
        // What is damaged is read again.
        for entry in std::fs::read_dir(cache.join(FOLDER)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap().replacen(": \"", ": \"f", 1);
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(hash(), files::content_hash(&file).unwrap());
        assert_eq!(reads.get(), 3);
    }
}
