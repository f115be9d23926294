//! How far the trainings below a folder are, and whether they are well. Nothing is changed.
use super::claim;
use super::kept_weights::has_weights;
use crate::checkpoint::{self, Best, CHECKPOINTS, Newest, saved_at};
use crate::post_train::FaultReport;
use crate::storage;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders below the one that is asked for, in which a training may lie: `arms/ARM/seed-N`.
const DEPTH: usize = 4;

/// How far a training is.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingStatus {
    /// Its folder.
    pub folder: PathBuf,
    /// The step of its newest checkpoint.
    pub step: usize,
    /// All of its steps, if its checkpoint says so.
    pub steps: Option<usize>,
    /// The newest loss in training that was written down.
    pub loss: Option<f64>,
    /// The newest loss in validation, and the best one.
    pub validation: Option<f64>,
    /// The best validation and its step.
    pub best: Option<(f64, usize)>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Processes that trained.
    pub sittings: u64,
    /// When the newest checkpoint was saved.
    pub saved: Option<SystemTime>,
    /// Updates that were left out, and returns to an earlier checkpoint.
    pub skipped: u64,
    /// Returns to an earlier checkpoint.
    pub rollbacks: usize,
    /// What had changed when it was told to go on all the same, each with the step after which.
    pub accepted: Vec<(String, usize)>,
    /// Whether it is well.
    pub health: Health,
}

/// Whether a training is well.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Its weights are there.
    Finished,
    /// A process is at work on it.
    InWork {
        /// The process and its machine.
        by: String,
    },
    /// Nobody is at work on it, and it can go on.
    Stopped {
        /// What is wrong with checkpoints that are newer than the one that it goes on from.
        passed_over: Vec<String>,
    },
    /// It failed at a batch.
    Failed {
        /// What it said.
        why: String,
    },
    /// It cannot go on: no checkpoint is whole, or the configuration of its folder cannot be read.
    Damaged {
        /// What is wrong.
        why: Vec<String>,
    },
}

impl TrainingStatus {
    /// The seconds that are left at the pace so far, if that is known.
    pub fn left(&self) -> Option<f64> {
        let steps = self.steps.filter(|_| self.step > 0)?;
        Some(self.seconds / self.step as f64 * steps.saturating_sub(self.step) as f64)
    }
}

/// The trainings in `folder` and below it, by their folders. Whether their checkpoints are whole, their lengths tell.
pub fn trainings(folder: &Path) -> Vec<TrainingStatus> {
    all(folder, false)
}

/// As [`trainings`]; the newest checkpoints are read to their ends, to know by their checksums whether they are whole.
pub fn trainings_read(folder: &Path) -> Vec<TrainingStatus> {
    all(folder, true)
}

fn all(folder: &Path, read: bool) -> Vec<TrainingStatus> {
    let mut look = Look { read, seen: BTreeSet::new(), found: Vec::new() };
    look.at(folder, DEPTH);
    look.found.sort_by(|a, b| a.folder.cmp(&b.folder));
    look.found
}

/// A search for trainings.
struct Look {
    read: bool,
    /// Folders without the links that led there: a link may lead back.
    seen: BTreeSet<PathBuf>,
    found: Vec<TrainingStatus>,
}

impl Look {
    fn at(&mut self, folder: &Path, depth: usize) {
        if !folder.canonicalize().is_ok_and(|real| self.seen.insert(real)) {
            return;
        }
        if folder.join(CHECKPOINTS).is_dir() || has_weights(folder) {
            self.found.push(status(folder, self.read));
        }
        if depth == 0 {
            return;
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != CHECKPOINTS && name != "tensorboard" && !name.to_string_lossy().starts_with('.')
            {
                self.at(&path, depth - 1);
            }
        }
    }
}

fn status(folder: &Path, read: bool) -> TrainingStatus {
    let checkpoints = folder.join(CHECKPOINTS);
    let Newest { whole, damaged } = checkpoint::newest(&checkpoints, read);
    let newest = whole.as_ref();
    let history = newest.map(|set| set.history.clone()).unwrap_or_default();
    let steps = newest.and_then(|set| set.identity.as_ref()?.configuration.get("steps").and_then(Value::as_u64));
    let health = match (storage::in_use(folder), FaultReport::read(folder)) {
        (Some(by), _) => Health::InWork { by },
        _ if has_weights(folder) => Health::Finished,
        (_, Ok(Some(fault))) if newest.is_none_or(|set| set.number == fault.step) => Health::Failed { why: fault.why },
        _ if newest.is_none() && !damaged.is_empty() => Health::Damaged { why: damaged },
        _ => match claim::readable(folder) {
            Ok(()) => Health::Stopped { passed_over: damaged },
            Err(error) => Health::Damaged { why: vec![error.to_string()] },
        },
    };
    let saved = newest.and_then(|set| saved_at(&checkpoints, set.number));
    let accepted = history.accepted.into_iter();
    let of = |name: &str| last_loss(&folder.join("metrics").join(name));
    TrainingStatus {
        folder: folder.to_path_buf(),
        step: newest.map_or(0, |set| set.number),
        steps: steps.and_then(|steps| usize::try_from(steps).ok()),
        loss: of("train.csv"),
        validation: of("valid.csv"),
        best: history.best.map(|Best { step, loss }| (loss, step)),
        seconds: history.seconds,
        sittings: history.sittings,
        saved,
        skipped: history.skipped,
        rollbacks: history.rollbacks.len(),
        accepted: accepted.flat_map(|one| one.differences.into_iter().map(move |text| (text, one.step))).collect(),
        health,
    }
}

/// The loss in the last row of a table.
fn last_loss(file: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let column = lines.next()?.split(',').position(|name| name == "loss")?;
    lines.last()?.split(',').nth(column)?.parse().ok()
}
