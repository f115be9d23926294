//! The ZIP archive of `torch.save`: a folder with the pickle, `data.pkl`, and each storage, `data/0`, `data/1`, …
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, copy, sink};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zip::read::ZipReadOptions;
use zip::{CompressionMethod, ZipArchive};

/// The longest pickle that is read: no storage is in it, only names and shapes.
const LONGEST_PICKLE: u64 = 128 << 20;
/// How much longer than its file it may be, if it is packed: so much, and so many times. Names and shapes pack less well.
const PACKED_AWAY: u64 = 1 << 20;
const PACKED: u64 = 16;
const PICKLE: &str = "data.pkl";
const AGAIN: &str = "it is cut off or damaged, get it again";

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    zip: Mutex<ZipArchive<BufReader<File>>>,
    /// What all names in it begin with.
    folder: String,
    length: u64,
}

/// A storage within an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    index: usize,
    /// Its bytes, as the archive says.
    pub(super) bytes: u64,
}

impl Archive {
    /// Opens `file`.
    ///
    /// # Errors
    /// That it is damaged, no archive of PyTorch, or of a computer of another byte order.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let opened = File::open(file).map_err(|e| e.to_string())?;
        let length = opened.metadata().map_err(|e| e.to_string())?.len();
        let zip = ZipArchive::new(BufReader::new(opened)).map_err(|e| format!("{e}: {AGAIN}"))?;
        let folders = zip.file_names().flatten().filter_map(|name| {
            let folder = name.strip_suffix(PICKLE)?;
            (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_string())
        });
        let folder = folders
            .min_by_key(String::len)
            .ok_or("is a ZIP archive, but not one of PyTorch (it has no data.pkl): unpack it, or take the .pt file")?;
        let archive = Self { zip: Mutex::new(zip), folder, length };
        match archive.small("byteorder")?.as_deref() {
            None | Some("little") => Ok(archive),
            Some("big") => {
                Err("is of a big-endian computer, which is not read: on a little-endian one, load it with PyTorch \
                              and save it again"
                    .into())
            }
            Some(other) => Err(format!("its byte order is `{}`: {AGAIN}", other.escape_debug())),
        }
    }

    /// The length of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of the pickle.
    pub(super) fn pickle(&self) -> Result<Vec<u8>, String> {
        let entry = self.entry(PICKLE)?;
        let longest = LONGEST_PICKLE.min(PACKED_AWAY.saturating_add(PACKED.saturating_mul(self.length)));
        if entry.bytes > longest {
            let bytes = entry.bytes;
            return Err(format!(
                "its data.pkl claims {bytes} bytes, the longest that is read of this file is {longest}"
            ));
        }
        self.whole(entry).map_err(|e| format!("its data.pkl: {e}: {AGAIN}"))
    }

    /// The storage `key`.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn storage(&self, key: &str) -> Result<Storage, String> {
        self.entry(&format!("data/{key}"))
    }

    /// The `length` bytes of a storage from `start` on.
    pub(super) fn read(&self, storage: Storage, start: usize, length: usize) -> std::io::Result<Vec<u8>> {
        let (begin, count) = (start as u64, length as u64);
        let mut zip = self.zip();
        let entry = zip.by_index_data(storage.index)?;
        let (crc, is_stored) = (entry.crc32(), entry.compression() == CompressionMethod::Stored);
        drop(entry);
        let is_whole = begin == 0 && count == storage.bytes;
        // Never more at once than the file can have; what is packed grows while it is read.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length.min(usize::try_from(self.length).unwrap_or(usize::MAX)))?;
        if is_stored && !is_whole {
            let mut part = zip.by_index_seek(storage.index)?;
            part.seek(SeekFrom::Start(begin))?;
            part.take(count).read_to_end(&mut bytes)?;
        } else {
            // A checksum of 0 is none: `compute_crc32=False` of PyTorch.
            let mut entry = zip.by_index_with_options(storage.index, ZipReadOptions::new().ignore_crc32(crc == 0))?;
            copy(&mut (&mut entry).take(begin), &mut sink())?;
            (&mut entry).take(count).read_to_end(&mut bytes)?;
            if is_whole {
                // The checksum is compared at the end, which is one read further.
                copy(&mut entry, &mut sink())?;
            }
        }
        if bytes.len() == length { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }

    fn zip(&self) -> MutexGuard<'_, ZipArchive<BufReader<File>>> {
        self.zip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &str) -> Result<Storage, String> {
        let zip = self.zip();
        let whole = format!("{}{name}", self.folder);
        let index = zip.index_for_name_raw(whole.as_bytes()).ok_or(format!("`{name}` is not in it: {AGAIN}"))?;
        let entry = zip.by_index_data(index).map_err(|e| format!("`{name}`: {e}: {AGAIN}"))?;
        let (bytes, length) = (entry.size(), self.length);
        let is_stored = entry.compression() == CompressionMethod::Stored;
        if is_stored && (bytes > length || entry.compressed_size() != bytes) {
            return Err(format!("`{name}` claims {bytes} bytes of a file of {length}: {AGAIN}"));
        }
        Ok(Storage { index, bytes })
    }

    fn whole(&self, entry: Storage) -> std::io::Result<Vec<u8>> {
        self.read(entry, 0, usize::try_from(entry.bytes).map_err(|_| std::io::ErrorKind::OutOfMemory)?)
    }

    /// A short text beside the pickle, if it is there.
    fn small(&self, name: &str) -> Result<Option<String>, String> {
        const SHORT: u64 = 64;
        let Ok(entry) = self.entry(name) else { return Ok(None) };
        let length = entry.bytes.min(SHORT) as usize;
        let bytes = self.read(entry, 0, length).map_err(|e| format!("`{name}`: {e}: {AGAIN}"))?;
        Ok(Some(String::from_utf8_lossy(&bytes).trim().to_string()))
    }
}
