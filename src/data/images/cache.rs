//! Decoded pictures in one file: magic, key, pictures `[N, C, H, W]` in bytes, the places of bad ones (8 bytes each), key.
//!
//! The key is a hash of what makes them: the folder, the size, and name and state of every file. A file with
//! another key, or one that was cut short, is not read; the new one replaces it whole.
use super::decode::Target;
use crate::data::file_state;
use crate::{Error, Result, digest};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const MAGIC: &[u8; 8] = b"mixflow1";
const KEY: usize = 32;
/// Bytes of the place of a bad picture.
const PLACE: usize = 8;
const HEADER: u64 = (MAGIC.len() + KEY) as u64;

/// Where decoded pictures are kept unless the configuration says where.
const FOLDER: &str = "runs/cache/images";

/// The hash of what makes the decoded pictures.
pub(super) fn key(folder: &Path, names: &[String], target: Target) -> Result<[u8; KEY]> {
    let whole = std::fs::canonicalize(folder).map_err(|e| Error::io(folder, e))?;
    let mut hash = Sha256::new_with_prefix(MAGIC);
    hash.update(whole.as_os_str().as_encoded_bytes());
    hash.update(format!("\0{target:?}"));
    for name in names {
        let file = folder.join(name);
        let about = std::fs::metadata(&file).map_err(|e| Error::io(&file, e))?;
        hash.update(format!("\0{name}\0{}", file_state::of(&about)));
    }
    Ok(hash.finalize().into())
}

/// The file of a key below `folder`, or below the usual one.
pub(super) fn file(folder: Option<&Path>, key: &[u8; KEY]) -> PathBuf {
    folder.unwrap_or(Path::new(FOLDER)).join(format!("{}.u8", digest::hex(key, 16)))
}

/// An open file of decoded pictures.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    file: Mutex<File>,
    size: usize,
    /// The places of pictures that could not be decoded, sorted; zeros stand for them.
    pub bad: Vec<usize>,
}

impl Cache {
    /// The pictures in `path`, if it holds `count` of `size` bytes with this key.
    pub fn open(path: &Path, key: &[u8; KEY], count: usize, size: usize) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let pictures = (count * size) as u64;
        let places = file.metadata().ok()?.len().checked_sub(HEADER + pictures + KEY as u64)?;
        if places % PLACE as u64 != 0 || places / PLACE as u64 > count as u64 {
            return None;
        }
        let (mut head, mut tail) = ([0; HEADER as usize], [0; KEY]);
        file.read_exact(&mut head).ok()?;
        file.seek(SeekFrom::Start(HEADER + pictures)).ok()?;
        let mut bad = vec![0; places as usize];
        file.read_exact(&mut bad).ok()?;
        file.read_exact(&mut tail).ok()?;
        let bad: Vec<usize> = bad.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes) as usize).collect();
        let whole = head[..MAGIC.len()] == MAGIC[..] && head[MAGIC.len()..] == key[..] && tail == *key;
        let sorted = bad.is_sorted() && bad.last().is_none_or(|last| *last < count);
        (whole && sorted).then(|| Self { path: path.to_path_buf(), file: Mutex::new(file), size, bad })
    }

    /// The picture at a place.
    pub fn read(&self, place: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.size];
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let start = SeekFrom::Start(HEADER + (place * self.size) as u64);
        file.seek(start).and_then(|_| file.read_exact(&mut bytes)).map_err(|e| Error::io(&self.path, e))?;
        Ok(bytes)
    }
}

/// A file of decoded pictures being written; it takes its name when it is whole.
pub(super) struct Writer {
    part: PathBuf,
    path: PathBuf,
    key: [u8; KEY],
    file: BufWriter<File>,
}

impl Writer {
    pub fn create(path: &Path, key: [u8; KEY]) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        // Two programs may decode the same folder at once.
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let file = File::create(&part).map_err(|e| Error::io(&part, e))?;
        let mut writer = Self { part, path: path.to_path_buf(), key, file: BufWriter::new(file) };
        writer.push(MAGIC)?;
        writer.push(&key)?;
        Ok(writer)
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.part, e))
    }

    /// The pictures at `bad` places, in order, are zeros.
    pub fn finish(mut self, bad: &[usize]) -> Result<()> {
        let key = self.key;
        for place in bad {
            self.push(&(*place as u64).to_le_bytes())?;
        }
        self.push(&key)?;
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.and_then(|()| std::fs::rename(&self.part, &self.path)).map_err(|e| Error::io(&self.part, e))
    }
}

impl Drop for Writer {
    /// What was not finished is of no use.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_with_its_key_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.u8");
        let key = [7; KEY];
        let mut writer = Writer::create(&path, key).unwrap();
        for picture in [[1, 2], [3, 4], [5, 6]] {
            writer.push(&picture).unwrap();
        }
        assert!(Cache::open(&path, &key, 3, 2).is_none(), "not finished");
        writer.finish(&[]).unwrap();
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let cache = Cache::open(&path, &key, 3, 2).unwrap();
        assert_eq!([cache.read(2).unwrap(), cache.read(0).unwrap()], [[5, 6], [1, 2]]);
        assert!(Cache::open(&path, &[8; KEY], 3, 2).is_none());
        assert!(Cache::open(&path, &key, 2, 2).is_none());
        assert_eq!(cache.bad, [0usize; 0]);
        let mut writer = Writer::create(&path, key).unwrap();
        [[1, 2], [0, 0], [5, 6]].iter().for_each(|picture| writer.push(picture).unwrap());
        writer.finish(&[1]).unwrap();
        assert_eq!(Cache::open(&path, &key, 3, 2).unwrap().bad, [1]);
        let bytes = std::fs::read(&path).unwrap();
        let mut beyond = bytes.clone();
        beyond[46] = 3;
        std::fs::write(&path, beyond).unwrap();
        assert!(Cache::open(&path, &key, 3, 2).is_none(), "a place beyond the pictures");
        let bytes = [&bytes[..46], &bytes[54..]].concat();
        for damaged in [&bytes[..bytes.len() - 1], &[0; 78], &[&bytes[..40], [0; 38].as_slice()].concat()] {
            std::fs::write(&path, damaged).unwrap();
            assert!(Cache::open(&path, &key, 3, 2).is_none());
        }
    }
}
