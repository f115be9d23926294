//! One file of every set, as a Burn checkpointer.
use super::CheckpointSets;
use crate::{Error, storage};
use burn::tensor::Bytes;
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};

/// One file of every set, as a Burn [`Checkpointer`].
pub struct Part {
    pub(super) name: &'static str,
    pub(super) sets: CheckpointSets,
}

impl<R: Checkpoint> Checkpointer<R> for Part {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        self.sets.save(self.name, epoch, record).map_err(burn_error)
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        self.sets.doom(epoch).map_err(burn_error)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let bytes = self.sets.contents(epoch, self.name).map_err(burn_error)?;
        R::checkpoint_from_bytes(Bytes::from_bytes_vec(bytes)).map_err(CheckpointerError::Record)
    }
}

impl CheckpointSets {
    /// Writes one part; the last one completes its set.
    fn save<R: Checkpoint>(&self, part: &'static str, epoch: usize, record: R) -> crate::Result<()> {
        let number = self.number(epoch);
        let reading = Reading { sets: self, number };
        self.begin(number)?;
        let path = self.part_path(number, part);
        // One at a time: each holds the bytes of its file in memory.
        let turn = self.turn();
        let bytes = record.checkpoint_into_bytes().map_err(|e| Error::format(&path, e.to_string()))?;
        drop(reading);
        let written = super::manifest::FileRecord::of(&bytes);
        storage::write(&path, &bytes)?;
        drop(turn);
        self.saved(number, part, written, bytes)
    }
}

/// A part whose numbers are being read; dropped, they are, or never will be.
struct Reading<'a> {
    sets: &'a CheckpointSets,
    number: usize,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.sets.has_read(self.number);
    }
}

fn burn_error(error: Error) -> CheckpointerError {
    CheckpointerError::Unknown(error.to_string())
}
