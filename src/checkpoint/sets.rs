//! Checkpoint sets that are complete or absent: model, optimizer and scheduler of one epoch.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::manifest::{FileRecord, MARKER, Manifest};
use crate::{Error, Result};
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};

const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// A folder of checkpoint sets `epoch-000004/{model,optim,scheduler}.bpk`.
///
/// A set counts once its manifest `COMPLETE` exists, which is written last and records the length and the
/// SHA-256 of every file. A set Burn's strategy wants deleted stays until a newer one is complete.
#[derive(Clone)]
pub struct CheckpointSets {
    dir: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    saved: BTreeMap<usize, BTreeMap<String, FileRecord>>,
    doomed: BTreeSet<usize>,
    newest_complete: Option<usize>,
}

/// One file of every set, as a Burn [`Checkpointer`].
pub struct Part {
    name: &'static str,
    sets: CheckpointSets,
}

/// The newest epoch whose set is complete, not looking into its files; 0 if there is none. It changes nothing, so
/// that another process may be writing there.
#[cfg(feature = "experiment")]
pub(crate) fn newest_epoch(dir: &Path) -> usize {
    let sets = CheckpointSets { dir: dir.to_path_buf(), state: Arc::default() };
    let complete = |epoch: &usize| sets.set_dir(*epoch).join(MARKER).exists();
    sets.epochs().unwrap_or_default().into_iter().rev().find(complete).unwrap_or(0)
}

impl CheckpointSets {
    /// Opens `dir`, creating it if missing, and removes the `.tmp` files a killed writer left behind.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be created or read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_path_buf();
        fs::create_dir_all(&dir).map_err(|e| Error::io(&dir, e))?;
        let sets = Self { dir, state: Arc::default() };
        for epoch in sets.epochs()? {
            let set = sets.set_dir(epoch);
            for entry in fs::read_dir(&set).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == "tmp")
                    && let Err(error) = fs::remove_file(&path)
                {
                    eprintln!("warning: {}: {error}", path.display());
                }
            }
        }
        Ok(sets)
    }

    /// The checkpointers of the model, the optimizer and the scheduler, for Burn's `with_custom_checkpointers`.
    pub fn parts(&self) -> (Part, Part, Part) {
        let part = |name| Part { name, sets: self.clone() };
        let [model, optim, scheduler] = PARTS;
        (part(model), part(optim), part(scheduler))
    }

    /// The file of part `name` (`model`, `optim` or `scheduler`) of `epoch`, whether it exists or not.
    pub fn part_path(&self, epoch: usize, name: &str) -> PathBuf {
        self.set_dir(epoch).join(file_name(name))
    }

    /// The newest epoch whose set is complete and whose files have the recorded lengths and checksums.
    ///
    /// Every newer set that is not prints one warning line which says why.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read.
    pub fn latest(&self) -> Result<Option<usize>> {
        for epoch in self.epochs()?.into_iter().rev() {
            match self.verify(epoch, &PARTS) {
                Ok(()) => return Ok(Some(epoch)),
                Err(error) => eprintln!("warning: checkpoint of epoch {epoch} skipped: {error}"),
            }
        }
        Ok(None)
    }

    fn epochs(&self) -> Result<BTreeSet<usize>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            other => other.map_err(|e| Error::io(&self.dir, e))?,
        };
        let mut epochs = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(|e| Error::io(&self.dir, e))?.file_name();
            let epoch = name.to_str().and_then(|n| n.strip_prefix("epoch-")).and_then(|n| n.parse().ok());
            epochs.extend(epoch.filter(|epoch| self.set_dir(*epoch).file_name() == Some(&name)));
        }
        Ok(epochs)
    }

    fn set_dir(&self, epoch: usize) -> PathBuf {
        self.dir.join(format!("epoch-{epoch:06}"))
    }

    fn verify(&self, epoch: usize, parts: &[&str]) -> Result<()> {
        let dir = self.set_dir(epoch);
        let manifest = Manifest::read(&dir, epoch)?;
        parts.iter().try_for_each(|part| manifest.check(&dir, &file_name(part)))
    }

    fn begin(&self, epoch: usize) -> Result<()> {
        let dir = self.set_dir(epoch);
        let mut state = self.lock();
        state.doomed.remove(&epoch);
        fs::create_dir_all(&dir).map_err(|e| Error::io(&dir, e))?;
        // A re-run of an epoch must not inherit the old manifest.
        remove_if_present(&dir.join(MARKER))
    }

    fn saved(&self, epoch: usize, part: &str) -> Result<()> {
        let record = FileRecord::of(&self.part_path(epoch, part))?;
        let mut state = self.lock();
        let files = state.saved.entry(epoch).or_default();
        files.insert(file_name(part), record);
        if files.len() < PARTS.len() {
            return Ok(());
        }
        let files = state.saved.remove(&epoch).unwrap_or_default();
        Manifest::new(epoch, files).write(&self.set_dir(epoch))?;
        state.newest_complete = state.newest_complete.max(Some(epoch));
        self.sweep(&mut state)
    }

    fn doom(&self, epoch: usize) -> Result<()> {
        let mut state = self.lock();
        state.doomed.insert(epoch);
        self.sweep(&mut state)
    }

    fn sweep(&self, state: &mut State) -> Result<()> {
        let Some(newest) = state.newest_complete else { return Ok(()) };
        let kept = state.doomed.split_off(&newest);
        for epoch in std::mem::replace(&mut state.doomed, kept) {
            let dir = self.set_dir(epoch);
            state.saved.remove(&epoch);
            // The manifest goes first: a half removed set must not look complete.
            remove_if_present(&dir.join(MARKER))?;
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(dir, error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<R: Checkpoint> Checkpointer<R> for Part {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        self.sets.begin(epoch).map_err(burn_error)?;
        record.save(self.sets.part_path(epoch, self.name))?;
        self.sets.saved(epoch, self.name).map_err(burn_error)
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        self.sets.doom(epoch).map_err(burn_error)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        self.sets.verify(epoch, &[self.name]).map_err(burn_error)?;
        R::load(self.sets.part_path(epoch, self.name))
    }
}

fn burn_error(error: Error) -> CheckpointerError {
    CheckpointerError::Unknown(error.to_string())
}

fn file_name(part: &str) -> String {
    format!("{part}.bpk")
}

fn remove_if_present(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::store::RecordError;
    use burn::tensor::Bytes;
    use tempfile::TempDir;

    #[derive(Debug, PartialEq)]
    struct Blob(Vec<u8>);

    impl Checkpoint for Blob {
        fn save(self, path: PathBuf) -> Result<(), CheckpointerError> {
            fs::write(path, self.0).map_err(CheckpointerError::IOError)
        }
        fn load(path: PathBuf) -> Result<Self, CheckpointerError> {
            fs::read(path).map(Blob).map_err(CheckpointerError::IOError)
        }
        fn checkpoint_from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
            Ok(Blob(bytes.to_vec()))
        }
        fn checkpoint_into_bytes(self) -> Result<Bytes, RecordError> {
            Ok(Bytes::from_bytes_vec(self.0))
        }
    }

    fn save(sets: &CheckpointSets, epoch: usize) {
        let (model, optim, scheduler) = sets.parts();
        for (n, part) in [model, optim, scheduler].iter().enumerate() {
            part.save(epoch, Blob(vec![epoch as u8; 100 + n])).unwrap();
        }
    }

    fn two() -> (TempDir, CheckpointSets) {
        let dir = tempfile::tempdir().unwrap();
        let sets = CheckpointSets::open(dir.path().join("checkpoint")).unwrap();
        save(&sets, 3);
        save(&sets, 4);
        (dir, sets)
    }

    fn delete(part: &Part, epoch: usize) {
        Checkpointer::<Blob>::delete(part, epoch).unwrap();
    }

    #[test]
    fn restores_what_was_saved_after_reopening() {
        let (dir, _) = two();
        let sets = CheckpointSets::open(dir.path().join("checkpoint")).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(4));
        let optim: Blob = sets.parts().1.restore(4).unwrap();
        assert_eq!(optim, Blob(vec![4; 101]));
        assert!(sets.part_path(4, "model").ends_with("epoch-000004/model.bpk"));
    }

    #[test]
    fn holds_records_of_a_burn_module() {
        use burn::module::Module;
        use burn::store::ModuleRecord;
        let dir = tempfile::tempdir().unwrap();
        let sets = CheckpointSets::open(dir.path()).unwrap();
        let device = Default::default();
        let layer = || burn::nn::LinearConfig::new(3, 2).init(&device);
        let (model, optim, scheduler) = sets.parts();
        let saved = layer();
        model.save(1, saved.clone().into_record()).unwrap();
        optim.save(1, Blob(vec![1])).unwrap();
        scheduler.save(1, Blob(vec![1])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(1));
        let restored = layer().load_record(Checkpointer::<ModuleRecord>::restore(&model, 1).unwrap());
        assert_eq!(restored.weight.val().into_data(), saved.weight.val().into_data());
    }

    #[test]
    fn an_empty_or_vanished_folder_has_no_latest() {
        let dir = tempfile::tempdir().unwrap();
        let sets = CheckpointSets::open(dir.path().join("a/b")).unwrap();
        assert_eq!(sets.latest().unwrap(), None);
        fs::remove_dir_all(dir.path().join("a")).unwrap();
        assert_eq!(sets.latest().unwrap(), None);
        assert!(Checkpointer::<Blob>::restore(&sets.parts().0, 1).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(CheckpointSets::open(file.path().join("x")), Err(Error::Io { .. })));
    }

    #[test]
    fn a_truncated_file_falls_back() {
        let (_dir, sets) = two();
        let path = sets.part_path(4, "optim");
        fs::File::options().write(true).open(&path).unwrap().set_len(50).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(3));
        let error = Checkpointer::<Blob>::restore(&sets.parts().1, 4).unwrap_err().to_string();
        assert!(error.contains("optim.bpk: 50 bytes, but 101 were written"), "{error}");
        fs::remove_file(path).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(3));
    }

    #[test]
    fn a_flipped_byte_falls_back() {
        let (_dir, sets) = two();
        let path = sets.part_path(4, "model");
        let mut bytes = fs::read(&path).unwrap();
        bytes[17] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(3));
        let error = Checkpointer::<Blob>::restore(&sets.parts().0, 4).unwrap_err().to_string();
        assert!(error.contains("model.bpk: the checksum"), "{error}");
    }

    #[test]
    fn a_file_of_another_epoch_or_format_falls_back() {
        let (_dir, sets) = two();
        fs::copy(sets.part_path(3, "scheduler"), sets.part_path(4, "scheduler")).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(3));
        let marker = sets.set_dir(3).join(MARKER);
        let text = fs::read_to_string(&marker).unwrap();
        fs::write(&marker, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
        assert_eq!(sets.latest().unwrap(), None);
        fs::write(&marker, "{").unwrap();
        assert_eq!(sets.latest().unwrap(), None);
    }

    #[test]
    fn a_set_without_its_last_part_does_not_count() {
        let (_dir, sets) = two();
        let (model, optim, scheduler) = sets.parts();
        model.save(5, Blob(vec![5])).unwrap();
        optim.save(5, Blob(vec![5])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(4));
        scheduler.save(5, Blob(vec![5])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(5));
        // Saving the same epoch again needs all three again.
        model.save(5, Blob(vec![5])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(4));
    }

    #[test]
    fn deletion_waits_for_a_newer_complete_set() {
        let dir = tempfile::tempdir().unwrap();
        let sets = CheckpointSets::open(dir.path()).unwrap();
        save(&sets, 1);
        let (model, optim, scheduler) = sets.parts();
        delete(&model, 1);
        model.save(2, Blob(vec![2])).unwrap();
        delete(&optim, 1);
        optim.save(2, Blob(vec![2])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(1));
        scheduler.save(2, Blob(vec![2])).unwrap();
        assert!(!sets.set_dir(1).exists());
        delete(&scheduler, 1);
        assert_eq!(sets.latest().unwrap(), Some(2));
        save(&sets, 3);
        delete(&model, 2);
        assert!(!sets.set_dir(2).exists(), "a newer set is complete, so this one goes at once");
    }

    #[test]
    fn leftovers_are_swept_and_strangers_ignored() {
        let (dir, sets) = two();
        let scratch = sets.set_dir(4).join("model.bpk.77-0.tmp");
        fs::write(&scratch, "x").unwrap();
        let root = dir.path().join("checkpoint");
        fs::create_dir(root.join("epoch-9")).unwrap();
        fs::write(root.join("notes.txt"), "x").unwrap();
        let sets = CheckpointSets::open(root).unwrap();
        assert!(!scratch.exists());
        assert_eq!(sets.latest().unwrap(), Some(4));
    }

    #[test]
    fn three_threads_make_one_complete_set() {
        let dir = tempfile::tempdir().unwrap();
        let sets = CheckpointSets::open(dir.path()).unwrap();
        let (model, optim, scheduler) = sets.parts();
        std::thread::scope(|scope| {
            for part in [&model, &optim, &scheduler] {
                scope.spawn(move || {
                    for epoch in 1..=20 {
                        part.save(epoch, Blob(vec![epoch as u8; 64])).unwrap();
                        if epoch > 2 {
                            delete(part, epoch - 2);
                        }
                    }
                });
            }
        });
        assert_eq!(sets.latest().unwrap(), Some(20));
    }
}
