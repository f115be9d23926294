//! Every write that matters: whole or not at all, and on the disk before anything relies on it.
//!
//! A file is written beside its place, flushed, renamed into it, and the folder is flushed. Tests let each of these
//! operations fail in turn.
mod appended;
#[cfg(test)]
pub(crate) mod faults;
mod lock;

pub(crate) use appended::Appended;
pub use lock::FolderLock;
#[cfg(feature = "experiment")]
pub(crate) use lock::in_use;

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of files end that are not finished.
const UNFINISHED: &str = "tmp";

/// Writes a file that is there whole or not at all, whenever the process or the machine stops.
///
/// # Errors
/// [`Error::Io`] if it cannot be written; what stood there before stays.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_with(file, |scratch| {
        let mut out = File::create(scratch)?;
        #[cfg(test)]
        faults::bytes(file, &mut out, bytes)?;
        out.write_all(bytes)
    })
}

/// As [`write`], by a function that writes all of the file at the path it is given.
pub(crate) fn write_with(file: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let scratch = scratch(file);
    let written = (|| {
        operation(file)?;
        fill(&scratch)?;
        operation(file)?;
        File::options().write(true).open(&scratch)?.sync_all()?;
        operation(file)?;
        fs::rename(&scratch, file)?;
        operation(file)?;
        flush_folder(file.parent().unwrap_or(Path::new(".")))
    })();
    written.map_err(|error| {
        // What is left of it would only take room that may be scarce.
        let _ = fs::remove_file(&scratch);
        Error::io(file, error)
    })
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Io`] if that is impossible.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    operation(folder).and_then(|()| fs::create_dir_all(folder)).map_err(|e| Error::io(folder, e))
}

/// Removes a file, if it is there.
///
/// # Errors
/// [`Error::Io`] if it is there and stays.
pub(crate) fn remove_file(file: &Path) -> Result<()> {
    absent_is_fine(operation(file).and_then(|()| fs::remove_file(file))).map_err(|e| Error::io(file, e))
}

/// Removes a folder with all that is in it, if it is there.
///
/// # Errors
/// [`Error::Io`] if something of it stays.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    absent_is_fine(operation(folder).and_then(|()| fs::remove_dir_all(folder))).map_err(|e| Error::io(folder, e))
}

/// Removes the unfinished files that stopped processes left in `folder`. None of them matters: errors are not told.
pub(crate) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == UNFINISHED) && !is_in_work(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether another process that is alive may be writing this unfinished file, whose name says which one it was.
fn is_in_work(unfinished: &Path) -> bool {
    let process = unfinished.file_stem().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('.'));
    let process: Option<u32> = process.and_then(|(_, id)| id.split_once('-')?.0.parse().ok());
    process.is_some_and(|id| id != std::process::id() && Path::new("/proc").join(id.to_string()).exists())
}

/// Makes what was created or renamed in `folder` survive a power cut.
///
/// # Errors
/// [`Error::Io`] if that is impossible.
pub(crate) fn flush(folder: &Path) -> Result<()> {
    operation(folder).and_then(|()| flush_folder(folder)).map_err(|e| Error::io(folder, e))
}

/// Where `file` is written before it is renamed: a name of its own for every process and thread.
fn scratch(file: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // Names may have 255 bytes, this one too.
    let (name, process) = (&name[..name.floor_char_boundary(200)], std::process::id());
    file.with_file_name(format!("{name}.{process}-{}.{UNFINISHED}", WRITES.fetch_add(1, Ordering::Relaxed)))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a rename survive a power cut, where the filesystem can flush a folder.
fn flush_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// The next operation on `path`, which a test may let fail.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn operation(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    return faults::next(path);
    #[cfg(not(test))]
    {
        let _ = path;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        write(&file, b"first").unwrap();
        write(&file, b"second").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"second");
        write(&folder.path().join(format!("{}é", "n".repeat(253))), b"long").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn whatever_fails_leaves_what_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        write(&file, b"first").unwrap();
        let mut failures = 0;
        while let Some(fault) = faults::walk(folder.path(), failures, || write(&file, b"second").is_err()) {
            let text = fs::read(&file).unwrap();
            // Only the flush of the folder comes after the rename.
            assert!(text == b"first" || fault.operations == 5 && text == b"second", "{fault:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            write(&file, b"first").unwrap();
            failures += 1;
        }
        assert_eq!(failures, 5, "create, bytes, flush, rename, flush of the folder");
    }

    #[test]
    fn what_is_absent_is_removed_already() {
        let folder = tempfile::tempdir().unwrap();
        remove_file(&folder.path().join("a")).unwrap();
        remove_folder(&folder.path().join("b")).unwrap();
        let own = format!("d.{}-0.tmp", std::process::id());
        for name in ["c.4294967295-2.tmp", &own, "whole"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only what is whole");
        #[cfg(target_os = "linux")]
        {
            let of_another = folder.path().join("e.1-0.tmp");
            fs::write(&of_another, "").unwrap();
            sweep(folder.path());
            assert!(of_another.exists(), "process 1 is alive");
        }
        assert!(create_folder(&tempfile::NamedTempFile::new().unwrap().path().join("x")).is_err());
    }
}
