//! Checkpoint sets that are complete or absent: model, optimizer and scheduler of one moment of a training.
use super::identity::Identity;
use super::manifest::{FileRecord, History, MARKER, Manifest};
use super::pack::Pack;
use super::part::Part;
use super::retention::{Candidate, Retention};
use crate::{Error, Result, storage};
use burn::tensor::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(feature = "experiment")]
use std::time::SystemTime;

pub(super) const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// A folder of checkpoint sets `epoch-000004/{model,optim,scheduler}.bpk`.
///
/// A set counts once its manifest `COMPLETE` exists, which is written last and records the length and the SHA-256 of every
/// file. A set with a NaN or an infinity in it is never completed. A set Burn's strategy wants deleted stays until a newer
/// one is complete. While a part is written, its bytes are held in memory.
#[derive(Clone)]
pub struct CheckpointSets {
    dir: PathBuf,
    numbered_by: NumberedBy,
    shared: Arc<Shared>,
}

/// What the number of a set counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberedBy {
    /// Burn's epochs.
    Epoch,
    /// Optimizer steps, which are given for each of Burn's epochs.
    Step,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    turn: Mutex<()>,
    /// Hears of every part whose numbers were read.
    read: Condvar,
}

#[derive(Default)]
struct State {
    saved: BTreeMap<usize, BTreeMap<String, FileRecord>>,
    doomed: BTreeSet<usize>,
    newest_complete: Option<usize>,
    training: Option<OfTraining>,
    /// The steps of Burn's epochs.
    steps: BTreeMap<usize, usize>,
    histories: BTreeMap<usize, History>,
    /// Of announced sets, how many parts have numbers that may still be on a device.
    unread: BTreeMap<usize, usize>,
    not_finite: Option<NotFinite>,
}

/// What all sets of a training have in common.
#[derive(Debug, Clone)]
struct OfTraining {
    identity: Identity,
    retention: Retention,
}

/// Why a set was not completed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotFinite {
    pub number: usize,
    pub tensor: String,
}

/// The newest set whose number can be read from its folder's name and whose manifest is there, not looking into its files;
/// 0 if there is none. It changes nothing, so that another process may be writing there.
#[cfg(feature = "experiment")]
pub(crate) fn newest_step(dir: &Path) -> usize {
    let sets = CheckpointSets::at(dir, NumberedBy::Step);
    let complete = |number: &usize| sets.set_dir(*number).join(MARKER).exists();
    sets.numbers().unwrap_or_default().into_iter().rev().find(complete).unwrap_or(0)
}

/// When the set of `step` was completed.
#[cfg(feature = "experiment")]
pub(crate) fn saved_at(dir: &Path, step: usize) -> Option<SystemTime> {
    let marker = CheckpointSets::at(dir, NumberedBy::Step).set_dir(step).join(MARKER);
    fs::metadata(marker).ok()?.modified().ok()
}

/// The manifests of the sets of a training, oldest first, their files not looked into. It changes nothing.
#[cfg(feature = "experiment")]
pub(crate) fn manifests(dir: &Path) -> Vec<Manifest> {
    let sets = CheckpointSets::at(dir, NumberedBy::Step);
    let numbers = sets.numbers().unwrap_or_default().into_iter();
    numbers.filter_map(|number| Manifest::read(&sets.set_dir(number), number).ok()).collect()
}

/// What a training would go on from.
#[cfg(feature = "experiment")]
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// The manifest of the newest whole set.
    pub whole: Option<Manifest>,
    /// What is wrong with newer sets that were completed.
    pub damaged: Vec<String>,
}

/// The newest whole set of a training; whole is what has the recorded lengths, and where its files are `read` the recorded
/// checksums. It changes nothing.
#[cfg(feature = "experiment")]
pub(crate) fn newest(dir: &Path, read: bool) -> Newest {
    let sets = CheckpointSets::at(dir, NumberedBy::Step);
    let look = |number, manifest: &Manifest| {
        let set = sets.set_dir(number);
        PARTS.iter().try_for_each(|part| manifest.look(&set, &file_name(part), read))?;
        Ok(manifest.clone())
    };
    match sets.search(look) {
        Ok(Search { found, damaged, .. }) => Newest { whole: found, damaged },
        Err(error) => Newest { whole: None, damaged: vec![error.to_string()] },
    }
}

/// What a search from the newest set on found.
struct Search<T> {
    /// What was looked for, in the newest set that can be used.
    found: Option<T>,
    /// Newer sets, and why they cannot be used.
    passed: Vec<(PathBuf, Error)>,
    /// What is wrong with those of them that were completed once.
    damaged: Vec<String>,
}

impl CheckpointSets {
    fn at(dir: &Path, numbered_by: NumberedBy) -> Self {
        Self { dir: dir.to_path_buf(), numbered_by, shared: Arc::default() }
    }

    /// Opens `dir`, creating it if missing, and removes the `.tmp` files a killed writer left behind.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be created or read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::opened(dir.as_ref(), NumberedBy::Epoch)
    }

    /// As [`open`](Self::open), the sets of one training, which are numbered by optimizer steps.
    pub(crate) fn of_training(dir: &Path, identity: Identity, retention: Retention) -> Result<Self> {
        let sets = Self::opened(dir, NumberedBy::Step)?;
        sets.lock().training = Some(OfTraining { identity, retention });
        Ok(sets)
    }

    /// The same, to look into only: nothing is created, and nothing that another process may be writing is removed.
    pub(crate) fn to_read(dir: &Path, identity: Identity) -> Self {
        let sets = Self::at(dir, NumberedBy::Step);
        sets.lock().training = Some(OfTraining { identity, retention: Retention::default() });
        sets
    }

    fn opened(dir: &Path, numbered_by: NumberedBy) -> Result<Self> {
        storage::create_folder(dir)?;
        let sets = Self::at(dir, numbered_by);
        for number in sets.numbers()? {
            storage::sweep(&sets.set_dir(number));
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

    /// The newest epoch whose set is complete and whose files have the recorded lengths and checksums; none if no set was
    /// ever completed.
    ///
    /// Every newer set that is not prints one warning line which says why.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read; [`Error::Damaged`] if every completed set is damaged.
    pub fn latest(&self) -> Result<Option<usize>> {
        self.newest(|number, manifest| {
            PARTS.iter().try_for_each(|part| manifest.check(&self.set_dir(number), &file_name(part)))?;
            Ok(number)
        })
    }

    /// The newest set of this training that is whole, with its files in memory; none if no set was ever completed.
    ///
    /// # Errors
    /// As [`latest`](Self::latest); [`Error::OtherTraining`] if the sets belong to another training, as `allowed` sees it:
    /// it hears the manifest and every difference, and leaves those that matter.
    pub(crate) fn load_latest(
        &self,
        allowed: impl Fn(&Manifest, Vec<String>) -> Vec<String>,
    ) -> Result<Option<LoadedSet>> {
        let identity = self.lock().training.as_ref().map(|training| training.identity.clone());
        self.newest(|number, manifest| {
            let mut all = Vec::new();
            if let (Some(there), Some(here)) = (&manifest.identity, &identity) {
                all = there.differences(here);
                let differences = allowed(manifest, all.clone());
                if !differences.is_empty() {
                    return Err(Error::OtherTraining { path: self.dir.clone(), differences });
                }
            }
            self.load(number, manifest.clone(), all)
        })
    }

    /// What `look` finds in the newest set that it can use, and what it passed over. It changes nothing and says nothing.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read, and [`Error::OtherTraining`], which ends the search.
    fn search<T>(&self, look: impl Fn(usize, &Manifest) -> Result<T>) -> Result<Search<T>> {
        let mut search = Search { found: None, passed: Vec::new(), damaged: Vec::new() };
        let mut unsealed = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            let dir = self.set_dir(number);
            match Manifest::read(&dir, number).and_then(|manifest| look(number, &manifest)) {
                Ok(found) => return Ok(Search { found: Some(found), ..search }),
                Err(error @ Error::OtherTraining { .. }) => return Err(error),
                Err(error) => {
                    if dir.join(MARKER).exists() {
                        search.damaged.push(error.to_string());
                    } else if PARTS.iter().all(|part| dir.join(file_name(part)).exists()) {
                        unsealed.push(error.to_string());
                    }
                    search.passed.push((dir, error));
                }
            }
        }
        // One set without its manifest is that of a process that was killed in its first save; more had one.
        if unsealed.len() > 1 {
            search.damaged.append(&mut unsealed);
        }
        Ok(search)
    }

    /// What `look` finds in the newest completed set that it can use. A set of another training ends the search.
    fn newest<T>(&self, look: impl Fn(usize, &Manifest) -> Result<T>) -> Result<Option<T>> {
        let Search { found, passed, damaged } = self.search(look)?;
        for (dir, error) in passed {
            crate::monitor::warn(&format!("the checkpoint {} is passed over: {error}", dir.display()));
        }
        if found.is_some() {
            return Ok(found);
        }
        match damaged.is_empty() {
            true if self.numbered_by == NumberedBy::Step && self.has_old_sets() => {
                let message = "holds checkpoints of an earlier version (epoch-…), which this one cannot go on from; finish the \
                               training with that version, or take another folder";
                Err(Error::format(&self.dir, message))
            }
            true => Ok(None),
            false => Err(Error::Damaged { path: self.dir.clone(), reasons: damaged }),
        }
    }

    /// Whether there are sets that are numbered as they were before.
    fn has_old_sets(&self) -> bool {
        let epochs = Self::at(&self.dir, NumberedBy::Epoch);
        epochs.numbers().unwrap_or_default().into_iter().any(|number| epochs.set_dir(number).join(MARKER).exists())
    }

    fn load(&self, number: usize, manifest: Manifest, differences: Vec<String>) -> Result<LoadedSet> {
        let dir = self.set_dir(number);
        let read =
            |part: &str| manifest.contents(&dir, &file_name(part)).map(|bytes| Bytes::from_bytes_vec(bytes).shared());
        let [model, optimizer, scheduler] = PARTS;
        let path = |part: &str| dir.join(file_name(part));
        // The state of a schedule is the step; its file only has to be whole.
        manifest.check(&dir, &file_name(scheduler))?;
        let bytes = [read(model)?, read(optimizer)?];
        let packs = [Pack::open(&path(model), bytes[0].clone())?, Pack::open(&path(optimizer), bytes[1].clone())?];
        if let Some(network) = manifest.identity.as_ref().map(|identity| &identity.network)
            && packs[0].architecture() != *network
        {
            let found = packs[0].architecture();
            return Err(Error::format(path(model), format!("holds {found}, but its set is of {network}")));
        }
        if let Some(misfit) = packs[1].misfit(&packs[0]) {
            return Err(Error::format(path(optimizer), misfit));
        }
        for (part, pack) in [model, optimizer].iter().zip(&packs) {
            if let Some(tensor) = pack.not_finite() {
                return Err(Error::format(path(part), format!("`{tensor}` holds a NaN or an infinity")));
            }
        }
        let [model, optimizer] = bytes;
        Ok(LoadedSet { number, history: manifest.history, differences, model, optimizer })
    }

    /// Notes the step and the history that the set of Burn's epoch `epoch` will have.
    pub(crate) fn announce(&self, epoch: usize, step: usize, history: History) {
        let mut state = self.lock();
        state.steps.insert(epoch, step);
        state.histories.insert(step, history);
        state.unread.insert(step, PARTS.len());
    }

    /// Notes that a part of the set of `number` no longer needs the device.
    pub(super) fn has_read(&self, number: usize) {
        let mut state = self.lock();
        if let Some(parts) = state.unread.get_mut(&number) {
            *parts = parts.saturating_sub(1);
            if *parts == 0 {
                state.unread.remove(&number);
            }
        }
        self.shared.read.notify_all();
    }

    /// Waits until all parts that were announced are read. Burn hands out numbers on a GPU that are copied when they are first
    /// looked at, in another thread, while the next step writes over them.
    pub(crate) fn wait_until_read(&self) {
        let mut state = self.lock();
        while !state.unread.is_empty() {
            state = self.shared.read.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Writes another history into the complete set of `step`, whose files stay.
    ///
    /// # Errors
    /// [`Error::Io`] if its manifest cannot be written.
    pub(crate) fn amend(&self, step: usize, history: History) -> Result<()> {
        let dir = self.set_dir(step);
        Manifest::read(&dir, step)?.with_history(history).write(&dir)
    }

    /// Lets the complete set of `step`, whose files stay, belong to the training that goes on from it, with another history.
    ///
    /// # Errors
    /// [`Error::Io`] if its manifest cannot be written.
    pub(crate) fn adopt(&self, step: usize, history: History) -> Result<()> {
        let dir = self.set_dir(step);
        let identity = self.lock().training.as_ref().map(|training| training.identity.clone());
        Manifest::read(&dir, step)?.with_identity(identity).with_history(history).write(&dir)
    }

    /// The newest set that this process has completed.
    pub(crate) fn newest_complete(&self) -> Option<usize> {
        self.lock().newest_complete
    }

    /// The first tensor that kept a set from being completed.
    pub(crate) fn not_finite(&self) -> Option<NotFinite> {
        self.lock().not_finite.clone()
    }

    pub(super) fn number(&self, epoch: usize) -> usize {
        match self.numbered_by {
            NumberedBy::Epoch => epoch,
            NumberedBy::Step => self.lock().steps.get(&epoch).copied().unwrap_or(epoch),
        }
    }

    fn numbers(&self) -> Result<BTreeSet<usize>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            other => other.map_err(|e| Error::io(&self.dir, e))?,
        };
        let mut numbers = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(|e| Error::io(&self.dir, e))?.file_name();
            let number = name.to_str().and_then(|n| n.split_once('-')).and_then(|(_, n)| n.parse().ok());
            numbers.extend(number.filter(|number| self.set_dir(*number).file_name() == Some(&name)));
        }
        Ok(numbers)
    }

    fn set_dir(&self, number: usize) -> PathBuf {
        self.dir.join(match self.numbered_by {
            NumberedBy::Epoch => format!("epoch-{number:06}"),
            NumberedBy::Step => format!("step-{number:08}"),
        })
    }

    /// The contents of a file of a complete set.
    pub(super) fn contents(&self, epoch: usize, part: &str) -> Result<Vec<u8>> {
        let (number, name) = (self.number(epoch), file_name(part));
        let dir = self.set_dir(number);
        Manifest::read(&dir, number)?.contents(&dir, &name)
    }

    pub(super) fn begin(&self, number: usize) -> Result<()> {
        let dir = self.set_dir(number);
        self.lock().doomed.remove(&number);
        storage::create_folder(&dir)?;
        storage::flush(&self.dir)?;
        // A set that is written again must not inherit the old manifest.
        storage::remove_file(&dir.join(MARKER))
    }

    pub(super) fn saved(&self, number: usize, part: &str, record: FileRecord, bytes: Bytes) -> Result<()> {
        let path = self.part_path(number, part);
        if let Some(tensor) = Pack::open(&path, bytes)?.not_finite() {
            let tensor = tensor.to_string();
            self.lock().not_finite.get_or_insert(NotFinite { number, tensor: tensor.clone() });
            return Err(Error::format(
                path,
                format!("`{tensor}` holds a NaN or an infinity: the set is not completed"),
            ));
        }
        let mut state = self.lock();
        let files = state.saved.entry(number).or_default();
        files.insert(file_name(part), record);
        if files.len() < PARTS.len() {
            return Ok(());
        }
        let files = state.saved.remove(&number).unwrap_or_default();
        let identity = state.training.as_ref().map(|training| training.identity.clone());
        let history = state.histories.remove(&number).unwrap_or_default();
        Manifest::new(number, identity, history, files).write(&self.set_dir(number))?;
        state.newest_complete = state.newest_complete.max(Some(number));
        self.sweep(&mut state)
    }

    pub(super) fn doom(&self, epoch: usize) -> Result<()> {
        let number = self.number(epoch);
        let mut state = self.lock();
        state.doomed.insert(number);
        self.sweep(&mut state)
    }

    fn sweep(&self, state: &mut State) -> Result<()> {
        let Some(newest) = state.newest_complete else { return Ok(()) };
        if let Some(training) = &state.training {
            let numbers = self.numbers()?;
            let older = numbers.range(..newest).copied();
            let manifest = |number| Manifest::read(&self.set_dir(number), number).ok();
            let candidate = |number| Some(Candidate { step: number, validation: manifest(number)?.history.validation });
            let complete: Vec<Candidate> = older.clone().chain([newest]).filter_map(candidate).collect();
            let kept = training.retention.kept(&complete);
            state.doomed.extend(older.filter(|number| !kept.contains(number)));
        }
        let kept = state.doomed.split_off(&newest);
        for number in std::mem::replace(&mut state.doomed, kept) {
            let dir = self.set_dir(number);
            state.saved.remove(&number);
            // The manifest goes first: a half removed set must not look complete.
            storage::remove_file(&dir.join(MARKER))?;
            storage::remove_folder(&dir)?;
        }
        Ok(())
    }

    /// Who writes a part.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A set that was found whole.
pub(crate) struct LoadedSet {
    /// The epoch or step after which it was saved.
    pub number: usize,
    /// How its training came there.
    pub history: History,
    /// How what it belongs to differs from what goes on, where that is allowed.
    pub differences: Vec<String>,
    /// The bytes of its records.
    pub model: Bytes,
    pub optimizer: Bytes,
}

fn file_name(part: &str) -> String {
    format!("{part}.bpk")
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::store::RecordError;
    use burn::store::burn_pack::{Reader, Tensor as PackedTensor, Writer};
    use burn::tensor::DType;
    use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
    use tempfile::TempDir;

    #[derive(Debug, PartialEq)]
    struct Blob(Vec<u8>);

    impl Checkpoint for Blob {
        fn save(self, _: PathBuf) -> Result<(), CheckpointerError> {
            Err(CheckpointerError::Unknown("sets write the bytes themselves".into()))
        }
        fn load(_: PathBuf) -> Result<Self, CheckpointerError> {
            Err(CheckpointerError::Unknown("sets read the bytes themselves".into()))
        }
        fn checkpoint_from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
            let mut tensors = Reader::from_bytes(bytes)?.into_tensors()?;
            Ok(Blob(tensors.remove(0).into_bytes()?.to_vec()))
        }
        fn checkpoint_into_bytes(self) -> Result<Bytes, RecordError> {
            let shape = [self.0.len()];
            let tensor = PackedTensor::new("a".into(), DType::U8, shape, None, Bytes::from_bytes_vec(self.0));
            Ok(Writer::new(vec![tensor]).into_bytes()?)
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

    #[cfg(feature = "experiment")]
    #[test]
    fn sets_without_their_manifests_are_damage_to_whoever_looks_as_to_whoever_goes_on() {
        let (dir, sets) = two();
        let dir = dir.path().join("checkpoint");
        let of_steps = CheckpointSets::at(&dir, NumberedBy::Step);
        for number in [3, 4] {
            fs::remove_file(sets.set_dir(number).join(MARKER)).unwrap();
            fs::rename(sets.set_dir(number), of_steps.set_dir(number)).unwrap();
        }
        assert_eq!(newest(&dir, false).damaged.len(), 2);
        assert!(matches!(of_steps.latest(), Err(Error::Damaged { reasons, .. }) if reasons.len() == 2));
        // A single one is that of a process that was killed in its first save.
        fs::remove_dir_all(of_steps.set_dir(4)).unwrap();
        assert!(newest(&dir, false).damaged.is_empty());
        assert_eq!(of_steps.latest().unwrap(), None);
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
        assert!(error.contains("optim.bpk: 50 bytes, but "), "{error}");
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
        for damaged in [text.replace("\"format\": 2", "\"format\": 1"), "{".into(), String::new()] {
            fs::write(&marker, damaged).unwrap();
            match sets.latest() {
                Err(Error::Damaged { reasons, .. }) => assert_eq!(reasons.len(), 2),
                other => panic!("every set is damaged: {other:?}"),
            }
        }
    }

    #[test]
    fn a_set_that_is_not_finite_is_never_completed() {
        let (_dir, sets) = two();
        let layer = burn::nn::LinearConfig::new(1, 1)
            .with_initializer(burn::nn::Initializer::Constant { value: f64::INFINITY })
            .init(&Default::default());
        use burn::module::Module;
        let (model, optim, scheduler) = sets.parts();
        let error = model.save(5, layer.into_record()).unwrap_err().to_string();
        assert!(error.contains("model.bpk: `bias` holds a NaN or an infinity"), "{error}");
        optim.save(5, Blob(vec![5])).unwrap();
        scheduler.save(5, Blob(vec![5])).unwrap();
        assert_eq!(sets.latest().unwrap(), Some(4));
        assert_eq!(sets.not_finite(), Some(NotFinite { number: 5, tensor: "bias".into() }));
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
        let scratch = sets.set_dir(4).join("model.bpk.4294967295-0.tmp");
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
