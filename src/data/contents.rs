//! A hash of all that the items of a split hold, kept so that files are not read again before one of them changes.
use super::split::Placed;
use super::verdict::{self, FOLDER};
use super::{DataSplit, Decoded};
use crate::{Error, Result, digest};
use burn::data::dataset::Dataset;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Items that are looked at together.
const CHUNK: usize = 256;

/// The hash of what `items` hold, in their order: of their files, or of their numbers where there are none.
///
/// # Errors
/// [`Error::Io`] naming a file that is not there or cannot be read, unless some may be bad.
pub(super) fn hash(
    split: &DataSplit,
    items: &[Placed],
    cache: Option<&Path>,
    said: &mut dyn FnMut(Decoded),
) -> Result<String> {
    let mut hash = Sha256::new();
    if let Some(shipped) = &split.shipped {
        hash.update(shipped);
        items.iter().for_each(|item| hash.update(format!("{}\x000\0", item.name)));
        return Ok(text(hash));
    }
    // Numbers in memory have no state but themselves.
    let in_files = items.iter().all(|item| !split.set(item).files(item.index).is_empty());
    let kept = cache.filter(|_| in_files).and_then(|cache| kept_in(cache, split, items).ok());
    if let Some(hash) = kept.as_deref().and_then(read) {
        return Ok(hash);
    }
    let (total, mut all_read) = (items.len(), true);
    for (i, items) in items.chunks(CHUNK).enumerate() {
        said(Decoded { done: i * CHUNK, total });
        let found = items.par_iter().map(|item| of_item(split, item)).collect::<Result<Vec<_>>>()?;
        for (item, Found { hash: found, is_whole }) in items.iter().zip(found) {
            hash.update(format!("{}\0", item.name));
            hash.update(found);
            all_read &= is_whole;
        }
    }
    said(Decoded { done: total, total });
    let hash = text(hash);
    // Whoever may not read a file now may read it tomorrow, in the same state.
    if let Some(file) = kept.filter(|_| all_read) {
        verdict::keep(&file, format!("{hash} {}", digest::sha256(hash.as_bytes())).as_bytes());
    }
    Ok(hash)
}

fn text(hash: Sha256) -> String {
    digest::hex(hash.finalize(), 16)
}

/// Where the hash of these items is kept, as their files are on disk now.
fn kept_in(cache: &Path, split: &DataSplit, items: &[Placed]) -> Result<PathBuf> {
    let mut hash = Sha256::new_with_prefix(b"contents");
    items.iter().for_each(|item| hash.update(format!("{}\0", item.name)));
    verdict::stamps(split, items, &mut hash)?;
    Ok(cache.join(FOLDER).join(format!("{}.contents", text(hash))))
}

/// A hash that was kept, with its checksum.
fn read(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (hash, checksum) = text.split_once(' ')?;
    (digest::sha256(hash.as_bytes()) == checksum).then(|| hash.to_string())
}

/// The hash of what an item holds, and whether all of it could be read.
struct Found {
    hash: [u8; 32],
    is_whole: bool,
}

fn of_item(split: &DataSplit, item: &Placed) -> Result<Found> {
    let set = split.set(item);
    let (mut hash, mut is_whole) = (Sha256::new(), true);
    let files = set.files(item.index);
    if files.is_empty() {
        let item = set.get(item.index).map_err(|e| Error::Invalid(e.to_string()))?;
        item.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for file in &files {
        match digest::of_file(file) {
            Ok(found) => hash.update(found),
            // It is one of the bad items, which are counted where they are read.
            Err(error) if split.max_bad_items() > 0 => {
                hash.update([0]);
                is_whole &= is_absent(&error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Found { hash: hash.finalize().into(), is_whole })
}

fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
