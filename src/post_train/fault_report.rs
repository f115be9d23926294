//! What is kept of a batch that could not be trained on.
use crate::random::SampleKey;
use crate::{Error, Result, storage};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// So many names stand in an error.
const SHOWN: usize = 8;

/// The batch at which a training ended, for people and for doing its step again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The step that was not made, counted from 0: its checkpoint holds the weights before it.
    pub step: usize,
    /// What was wrong.
    pub why: String,
    /// The keys of the samples, which decide every draw.
    pub keys: Vec<Key>,
    /// The indices of the training items.
    pub items: Vec<usize>,
    /// What the items are called; empty if they have no names.
    pub names: Vec<String>,
}

/// A [`SampleKey`], as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The seed of the draws.
    pub seed: u64,
    /// The pass over the data.
    pub epoch: u64,
    /// The position in the pass.
    pub position: u64,
}

impl From<SampleKey> for Key {
    fn from(SampleKey { seed, epoch, position }: SampleKey) -> Self {
        Self { seed, epoch, position }
    }
}

impl From<Key> for SampleKey {
    fn from(Key { seed, epoch, position }: Key) -> Self {
        Self { seed, epoch, position }
    }
}

impl FaultReport {
    /// The file in the folder of a stage.
    pub(super) const FILE: &str = "fault.json";

    /// The report in the folder of a stage; none if it did not fail at a batch.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(Self::FILE);
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
        serde_json::from_slice(&text).map(Some).map_err(|e| Error::format(&file, format!("damaged: {e}")))
    }

    /// Writes the report into the folder of a stage; what to say of it.
    pub(super) fn keep(&self, folder: &Path) -> String {
        let mut text = String::new();
        if !self.names.is_empty() {
            let shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
            let more = self.names.len().saturating_sub(SHOWN);
            text += &format!("; the batch: {}", shown.join(", "));
            if more > 0 {
                text += &format!(" and {more} more");
            }
        }
        let file = folder.join(Self::FILE);
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        match storage::write(&file, &json) {
            Ok(()) => text + &format!("; its samples are in {}", file.display()),
            Err(error) => text + &format!("; its samples could not be written: {error}"),
        }
    }

    /// Removes the report of a fault that the stage has passed, as its newest set is of a later step.
    pub(super) fn forget_before(folder: &Path, saved: usize) {
        let is_passed = Self::read(folder).is_ok_and(|report| report.is_some_and(|report| report.step < saved));
        if is_passed && let Err(error) = storage::remove_file(&folder.join(Self::FILE)) {
            crate::monitor::warn(&error.to_string());
        }
    }
}
