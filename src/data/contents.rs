//! A hash of all that the items of a split hold, kept so that files are not read again before one of them changes.
use super::split::Placed;
use super::verdict::{self, FOLDER};
use super::{DataSplit, Decoded};
use crate::{Error, Result, digest};
use burn::data::dataset::Dataset;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Items that are looked at together.
const CHUNK: usize = 256;
/// Bytes of a file that are in memory at a time.
const PART: usize = 1 << 16;
/// Hexadecimal digits of a hash.
const DIGITS: usize = 32;

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
        return Ok(text(hash));
    }
    // A file that is not there has no time: what is kept is of data that are all there.
    let kept = cache.and_then(|cache| kept_in(cache, split, items).ok());
    if let Some(hash) = kept.as_deref().and_then(read) {
        return Ok(hash);
    }
    let total = items.len();
    for (i, items) in items.chunks(CHUNK).enumerate() {
        said(Decoded { done: i * CHUNK, total });
        let found = items.par_iter().map(|item| of_item(split, item)).collect::<Result<Vec<_>>>()?;
        for (item, found) in items.iter().zip(found) {
            hash.update(format!("{}\0", item.name));
            hash.update(found);
        }
    }
    said(Decoded { done: total, total });
    let hash = text(hash);
    if let Some(file) = kept {
        verdict::keep(&file, format!("{hash} {}", digest::sha256(hash.as_bytes())).as_bytes());
    }
    Ok(hash)
}

fn text(hash: Sha256) -> String {
    digest::hex(hash.finalize(), DIGITS / 2)
}

/// Where the hash of these items is kept, as their files are on disk now.
fn kept_in(cache: &Path, split: &DataSplit, items: &[Placed]) -> Result<PathBuf> {
    let mut hash = Sha256::new_with_prefix(b"contents");
    verdict::stamps(split, items, &mut hash)?;
    Ok(cache.join(FOLDER).join(format!("{}.contents", digest::hex(hash.finalize(), 16))))
}

/// A hash that was kept, with its checksum.
fn read(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (hash, checksum) = text.split_once(' ')?;
    (digest::sha256(hash.as_bytes()) == checksum).then(|| hash.to_string())
}

/// The hash of what an item holds.
fn of_item(split: &DataSplit, item: &Placed) -> Result<[u8; 32]> {
    let set = split.set(item);
    let mut hash = Sha256::new();
    let files = set.files(item.index);
    if files.is_empty() {
        let item = set.get(item.index).map_err(|e| Error::Invalid(e.to_string()))?;
        item.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for file in &files {
        match of_file(file) {
            Ok(found) => hash.update(found),
            // It is one of the bad items, which are counted where they are read.
            Err(_) if split.max_bad_items() > 0 => hash.update([0]),
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().into())
}

fn of_file(file: &Path) -> Result<[u8; 32]> {
    let failed = |e| Error::io(file, e);
    let mut opened = File::open(file).map_err(failed)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART]);
    loop {
        match opened.read(&mut part).map_err(failed)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&part[..read]),
        }
    }
}
