//! Saves a training where it is cut, and ends it where it is at its end.
use super::saving::{EarlyStopping, better};
use crate::checkpoint::{CheckpointSets, History};
use crate::train::{Fault, NonFinitePolicy, RunState, Segments};
use burn::train::EarlyStoppingStrategy;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The name of Burn's metric of the loss.
const LOSS: &str = "Loss";

/// Saves every cut that has moved, as Burn's checkpointing strategy. Which sets go, the sets decide.
pub(super) struct SaveCuts {
    pub segments: Segments,
    pub sets: CheckpointSets,
    pub run: RunState,
    pub policy: NonFinitePolicy,
    pub early_stopping: Option<EarlyStopping>,
    /// How the training came to the step at which this process began.
    pub before: History,
    /// How it came to the newest cut.
    pub history: History,
    pub began: Instant,
    pub ended_early: EndedEarly,
}

/// Whether a training is at its end before its last step, as its validation loss improves no more.
#[derive(Debug, Clone, Default)]
pub(super) struct EndedEarly(Arc<AtomicBool>);

impl EndedEarly {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl CheckpointingStrategy for SaveCuts {
    fn checkpointing(&mut self, epoch: usize, store: &EventStoreClient) -> Vec<CheckpointingAction> {
        let step = self.segments.step_of(epoch);
        // Burn's loggers run in a thread of their own. It answers after what it was sent before: all rows up to this step
        // are with the operating system before the set is, which lets a killed process begin after them.
        let _ = store.find_metric(LOSS, epoch, Aggregate::Mean, &Split::Train);
        let allowed = |times: u64| (self.before.rollbacks.len() as u64) < times;
        let returns = matches!(self.policy, NonFinitePolicy::Rollback { times } if allowed(times));
        let fault = self.run.fault();
        let fails = matches!(fault, Some(Fault::NonFinite { .. }));
        // A device that has failed may give no weights either.
        let is_gone = matches!(fault, Some(Fault::Device { .. }));
        if !self.segments.has_moved() || is_gone || returns && fails {
            return Vec::new();
        }
        let validated = self.segments.is_validated();
        let loss = validated.then(|| store.find_metric(LOSS, epoch, Aggregate::Mean, &Split::Valid)).flatten();
        if let Some(loss) = loss {
            self.history.best = better(self.history.best, loss, step, self.early_stopping);
        }
        if let Some(early) = self.early_stopping
            && validated
            && early.is_due(self.history.best, step, self.segments.validate_every())
        {
            self.ended_early.set();
        }
        let shown = self.run.remembered();
        self.history = History {
            validation: loss,
            gradient_norm: shown.gradient_norm,
            ema_distance: shown.ema_distance,
            skipped: shown.skips.total,
            skipped_in_a_row: shown.skips.in_a_row,
            seconds: self.before.seconds + self.began.elapsed().as_secs_f64(),
            sittings: self.before.sittings + 1,
            ..std::mem::take(&mut self.history)
        };
        if self.segments.is_owed() {
            // The weights are there; only their validation was missing.
            if let Err(error) = self.sets.amend(step, self.history.clone()) {
                crate::monitor::warn(&error.to_string());
            }
            return Vec::new();
        }
        self.sets.announce(epoch, step, self.history.clone());
        vec![CheckpointingAction::Save]
    }
}

/// Ends Burn's loop, whose number of epochs is not known before.
#[derive(Clone)]
pub(super) struct EndOfCuts {
    pub segments: Segments,
    pub ended_early: EndedEarly,
    /// What the next step must wait for, where it would write over what is being saved.
    pub unread: Option<CheckpointSets>,
}

impl EarlyStoppingStrategy for EndOfCuts {
    fn should_stop(&mut self, _: usize, _: &EventStoreClient) -> bool {
        // Burn asks right after it has saved, in the thread that makes the steps.
        if let Some(sets) = &self.unread {
            sets.wait_until_read();
        }
        self.segments.is_over() || self.ended_early.get()
    }
}
