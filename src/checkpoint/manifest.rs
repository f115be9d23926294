//! What makes a checkpoint set count: what it is, what it belongs to, and its files with their lengths and checksums.
use super::Identity;
use crate::digest::sha256;
use crate::{Error, Result, storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

pub(super) const MARKER: &str = "COMPLETE";
const FORMAT: u32 = 2;

/// Everything known of a set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The epoch, or the step, after which it was saved.
    pub number: usize,
    /// What it belongs to; none for a set of a training that did not say.
    pub identity: Option<Identity>,
    /// How the training came here.
    pub history: History,
    /// By the name of the file.
    pub files: BTreeMap<String, FileRecord>,
    /// The checksum of all of the above.
    seal: String,
}

/// How a training came to the step of a set, as far as the weights do not tell it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    /// The validation loss at this step, where one was measured.
    pub validation: Option<f64>,
    /// The best validation so far.
    pub best: Option<Best>,
    /// The gradient norm of the newest update.
    #[serde(with = "any_number")]
    pub gradient_norm: Option<f64>,
    /// The distance between average and network where it was measured last.
    #[serde(with = "any_number")]
    pub ema_distance: Option<f64>,
    /// Updates that were left out as their gradient was not finite.
    pub skipped: u64,
    /// Of these the newest ones, without an update between them.
    pub skipped_in_a_row: u64,
    /// Returns to an earlier set; each gives other draws.
    pub rollbacks: Vec<Rollback>,
    /// What it was trained on; empty where nobody noted it. What is empty is not written: manifests of before are sealed
    /// without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// What had changed under the training when it was told to go on all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// Seconds of training, over all processes.
    pub seconds: f64,
    /// Processes that trained.
    pub sittings: u64,
}

/// A number that may be infinite or none, for which JSON has no words.
mod any_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Finite(f64),
        Other(String),
    }

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        let written =
            |value: f64| if value.is_finite() { Written::Finite(value) } else { Written::Other(value.to_string()) };
        value.map(written).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<Written>::deserialize(deserializer)?
            .map(|written| match written {
                Written::Finite(value) => Ok(value),
                Written::Other(text) => text.parse().map_err(serde::de::Error::custom),
            })
            .transpose()
    }
}

/// The best validation of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub step: usize,
    pub loss: f64,
}

/// One return to an earlier set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rollback {
    pub from: usize,
    pub to: usize,
}

/// A change that somebody accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    /// The step after which it counts.
    pub step: usize,
    /// Each key that differed, with its value before and after where that is no hash.
    pub differences: Vec<String>,
}

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    pub(super) fn new(
        number: usize,
        identity: Option<Identity>,
        history: History,
        files: BTreeMap<String, FileRecord>,
    ) -> Self {
        Self { format: FORMAT, number, identity, history, files, seal: String::new() }.sealed()
    }

    /// The same set with another history.
    pub(super) fn with_history(self, history: History) -> Self {
        Self { history, ..self }.sealed()
    }

    /// The same set, of another training.
    pub(super) fn with_identity(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }.sealed()
    }

    fn sealed(self) -> Self {
        let open = Self { seal: String::new(), ..self };
        // A manifest holds no map with keys that JSON does not know, so that this cannot fail.
        let text = serde_json::to_vec(&open).unwrap_or_default();
        Self { seal: sha256(&text), ..open }
    }

    /// Reads the manifest in `dir`, which must be that of the set `number`.
    pub(super) fn read(dir: &Path, number: usize) -> Result<Self> {
        let path = dir.join(MARKER);
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::format(path, "missing, so the set was not written to its end"));
            }
            other => other.map_err(|e| Error::io(&path, e))?,
        };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |e: serde_json::Error| Error::format(&path, format!("damaged: {e}"));
        let Format { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format != FORMAT {
            let message = format!("format {format}: must be {FORMAT}; the version that wrote it can read it");
            return Err(Error::format(path, message));
        }
        let this: Self = serde_json::from_slice(&text).map_err(damaged)?;
        // Not all of it: what is no number differs from itself.
        if this.clone().sealed().seal != this.seal {
            return Err(Error::format(path, "damaged: its checksum is not the one it was sealed with"));
        }
        if this.number != number {
            return Err(Error::format(path, format!("is of set {}", this.number)));
        }
        Ok(this)
    }

    /// Writes the manifest into `dir`: it is there with all its contents, or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let target = dir.join(MARKER);
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::format(&target, e.to_string()))?;
        storage::write(&target, &text)
    }

    /// The contents of the file `name` in `dir`, if they are what was recorded.
    pub(super) fn contents(&self, dir: &Path, name: &str) -> Result<Vec<u8>> {
        let path = dir.join(name);
        let expected = self.expected(dir, name)?;
        self.same_length(&path, expected)?;
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
        if FileRecord::of(&bytes) != *expected {
            return Err(Error::format(path, "the checksum is not the one recorded when it was written"));
        }
        Ok(bytes)
    }

    /// Compares the file `name` in `dir` with what was recorded; the length first, it is cheaper.
    pub(super) fn check(&self, dir: &Path, name: &str) -> Result<()> {
        self.contents(dir, name).map(drop)
    }

    /// Compares the length of a file with what was recorded, and if it is `read` its contents.
    #[cfg(feature = "experiment")]
    pub(super) fn look(&self, dir: &Path, name: &str, read: bool) -> Result<()> {
        if read { self.check(dir, name) } else { self.same_length(&dir.join(name), self.expected(dir, name)?) }
    }

    fn expected(&self, dir: &Path, name: &str) -> Result<&FileRecord> {
        self.files.get(name).ok_or_else(|| Error::format(dir.join(MARKER), format!("does not list {name}")))
    }

    fn same_length(&self, path: &Path, expected: &FileRecord) -> Result<()> {
        let bytes = fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        match bytes == expected.bytes {
            true => Ok(()),
            false => Err(Error::format(path, format!("{bytes} bytes, but {} were written", expected.bytes))),
        }
    }
}

impl FileRecord {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_comes_back_too() {
        let folder = tempfile::tempdir().unwrap();
        let history =
            History { gradient_norm: Some(f64::NAN), ema_distance: Some(f64::INFINITY), ..History::default() };
        Manifest::new(7, None, history, BTreeMap::new()).write(folder.path()).unwrap();
        let found = Manifest::read(folder.path(), 7).unwrap().history;
        assert!(found.gradient_norm.unwrap().is_nan());
        assert_eq!(found.ema_distance, Some(f64::INFINITY));
    }

    /// As it was written before devices and accepted changes were noted.
    #[test]
    fn a_manifest_of_before_keeps_its_seal() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::new(7, None, History::default(), BTreeMap::new());
        manifest.write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(MARKER)).unwrap();
        assert!(!text.contains("devices") && !text.contains("accepted"), "{text}");
        let history = History { devices: vec!["cpu".into()], ..History::default() };
        Manifest::new(7, None, history, BTreeMap::new()).write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path(), 7).unwrap().history.devices, ["cpu"]);
    }

    #[test]
    fn a_manifest_comes_back_and_no_number_of_it_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("model.bpk".to_string(), FileRecord::of(b"abc"))].into();
        let history = History {
            validation: Some(0.1 + 0.2),
            rollbacks: vec![Rollback { from: 7, to: 5 }],
            gradient_norm: Some(f64::from(0.1f32)),
            ema_distance: Some(f64::NEG_INFINITY),
            ..History::default()
        };
        let manifest = Manifest::new(4, Some(Identity::default()), history, files);
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path(), 4).unwrap(), manifest);
        assert!(Manifest::read(folder.path(), 5).unwrap_err().to_string().contains("is of set 4"));
        let text = fs::read_to_string(folder.path().join(MARKER)).unwrap();
        for (old, new) in
            [("\"bytes\": 3", "\"bytes\": 4"), ("\"number\": 4", "\"number\": 5"), ("\"to\": 5", "\"to\": 4")]
        {
            fs::write(folder.path().join(MARKER), text.replace(old, new)).unwrap();
            let number = if old.contains("number") { 5 } else { 4 };
            let error = Manifest::read(folder.path(), number).unwrap_err().to_string();
            assert!(error.contains("its checksum is not the one it was sealed with"), "{old}: {error}");
        }
    }
}
