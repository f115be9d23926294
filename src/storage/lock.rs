//! One process at a time in a folder.
use super::operation;
use crate::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// The file that is locked. Its text says by whom.
const FILE: &str = ".lock";

/// Who has a lock that nobody has signed.
const NOBODY: &str = "another process";

/// Between two attempts of one that waits.
const POLL: Duration = Duration::from_millis(100);

/// A folder that no other process may write into, until this is dropped or the process ends, however it ends.
///
/// The lock is advisory: it holds back those that ask for it. Where a filesystem knows no locks, everyone gets it.
#[derive(Debug)]
pub struct FolderLock {
    file: Option<File>,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Nobody has it any more; the file stays, as removing it would let two processes lock two files of one name.
        let _ = self.file.as_ref().map(|file| file.set_len(0));
    }
}

impl FolderLock {
    /// Locks `folder`, which is created if missing.
    ///
    /// # Errors
    /// [`Error::InUse`] naming the process and the machine that have it; [`Error::Io`] if the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let mut looks = 0;
        loop {
            match Self::attempt(folder)? {
                Attempt::Taken(lock) => {
                    super::sweep(folder);
                    return Ok(lock);
                }
                // Someone may just be looking who has it.
                Attempt::InUse(by) if by == NOBODY && looks < 10 => looks += 1,
                Attempt::InUse(by) => return Err(Error::InUse { path: folder.to_path_buf(), by }),
            }
            std::thread::sleep(POLL / 4);
        }
    }

    /// As [`take`](Self::take), waiting for another process that has it; `told` hears once who that is, and `goes_on` says
    /// whether to wait any longer.
    ///
    /// # Errors
    /// As [`take`](Self::take), once it is not to wait any longer.
    pub fn wait(folder: &Path, told: impl FnOnce(&str), goes_on: impl Fn() -> bool) -> Result<Self> {
        let mut told = Some(told);
        loop {
            match Self::take(folder) {
                Err(Error::InUse { by, .. }) if goes_on() => {
                    if let Some(told) = told.take() {
                        told(&by);
                    }
                    std::thread::sleep(POLL);
                }
                other => return other,
            }
        }
    }

    fn attempt(folder: &Path) -> Result<Attempt> {
        super::create_folder(folder)?;
        let path = folder.join(FILE);
        let open = || {
            operation(&path)?;
            File::options().read(true).write(true).create(true).truncate(false).open(&path)
        };
        let mut file = open().map_err(|e| Error::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => {
                sign(&mut file);
                Ok(Attempt::Taken(Self { file: Some(file) }))
            }
            Err(TryLockError::WouldBlock) => Ok(Attempt::InUse(owner(&file))),
            Err(TryLockError::Error(_)) => Ok(Attempt::Taken(Self { file: None })),
        }
    }
}

/// Who has the lock of `folder`, if someone has. It changes nothing.
#[cfg(feature = "experiment")]
pub(crate) fn in_use(folder: &Path) -> Option<String> {
    let file = File::open(folder.join(FILE)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(owner(&file)),
        _ => None,
    }
}

/// What the file of a lock says.
fn owner(file: &File) -> String {
    let mut by = String::new();
    let _ = file.take(200).read_to_string(&mut by);
    if by.trim().is_empty() { NOBODY.into() } else { by.trim().to_string() }
}

enum Attempt {
    Taken(FolderLock),
    InUse(String),
}

/// Says who has the lock. A full disk must not keep anyone from it.
fn sign(file: &mut File) {
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "process {} on {}", std::process::id(), host()))
        .and_then(|()| file.flush());
}

fn host() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.ok().or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).unwrap_or_else(|| "this machine".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_names_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("run");
        let lock = FolderLock::take(&below).unwrap();
        let error = FolderLock::take(&below).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {} on ", std::process::id())), "{error}");
        drop(lock);
        FolderLock::take(&below).unwrap();
    }

    #[test]
    fn who_waits_is_told_for_whom_and_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| FolderLock::wait(folder.path(), |by| sender.send(by.to_string()).unwrap(), || true));
            let by = told.recv().unwrap();
            assert!(by.starts_with("process "), "{by}");
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
    }
}
