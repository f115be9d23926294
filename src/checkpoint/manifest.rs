//! What makes a checkpoint set count: the list of its files with their lengths and checksums.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

pub(super) const MARKER: &str = "COMPLETE";
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    epoch: usize,
    files: BTreeMap<String, FileRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    pub(super) fn new(epoch: usize, files: BTreeMap<String, FileRecord>) -> Self {
        Self { format: FORMAT, epoch, files }
    }

    /// Reads the manifest in `dir`, which must be that of `epoch`.
    pub(super) fn read(dir: &Path, epoch: usize) -> Result<Self> {
        let path = dir.join(MARKER);
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::format(path, "missing, so the set was not written to its end"));
            }
            other => other.map_err(|e| Error::io(&path, e))?,
        };
        let this: Self = serde_json::from_slice(&text).map_err(|e| Error::format(&path, e.to_string()))?;
        if this.format != FORMAT {
            return Err(Error::format(path, format!("format {}: must be {FORMAT}", this.format)));
        }
        if this.epoch != epoch {
            return Err(Error::format(path, format!("is of epoch {}", this.epoch)));
        }
        Ok(this)
    }

    /// Writes the manifest into `dir` in one step: it is there with all its contents, or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let (target, scratch) = (dir.join(MARKER), dir.join(format!("{MARKER}.tmp")));
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::format(&target, e.to_string()))?;
        let write = || {
            let mut file = File::create(&scratch)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&scratch, &target)?;
            sync_folder(dir)
        };
        write().map_err(|e| Error::io(&target, e))
    }

    /// Compares the file `name` in `dir` with what was recorded; the length first, it is cheaper.
    pub(super) fn check(&self, dir: &Path, name: &str) -> Result<()> {
        let Some(expected) = self.files.get(name) else {
            return Err(Error::format(dir.join(MARKER), format!("does not list {name}")));
        };
        let path = dir.join(name);
        let bytes = fs::metadata(&path).map_err(|e| Error::io(&path, e))?.len();
        if bytes != expected.bytes {
            return Err(Error::format(path, format!("{bytes} bytes, but {} were written", expected.bytes)));
        }
        if FileRecord::of(&path)? != *expected {
            return Err(Error::format(path, "the checksum is not the one recorded when it was written"));
        }
        Ok(())
    }
}

impl FileRecord {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut hasher = Sha256::new();
        let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
        let bytes = read.map_err(|e| Error::io(path, e))?;
        Ok(Self { bytes, sha256: format!("{:x}", hasher.finalize()) })
    }
}

/// Makes a rename survive a power cut.
fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
