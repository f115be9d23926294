//! What every clone and fork of a step shares while it trains.
use super::Fault;
use super::contributions::Contributions;
use super::keys::UnkeyedSamples;
use crate::random::SampleKey;
use burn::train::{Interrupter, TrainingError};
use std::sync::{Arc, Mutex, MutexGuard};

/// The state of a training that is not in its weights.
#[derive(Clone, Default)]
pub(crate) struct RunState {
    /// Burn's interrupter, which a fault stops; without one, faults are only kept.
    pub interrupter: Option<Interrupter>,
    shared: Arc<Mutex<Shared>>,
}

/// See [`RunState`].
#[derive(Default)]
pub(super) struct Shared {
    fault: Option<Fault>,
    done: u64,
    /// The numbers that are shown and come back with a checkpoint.
    pub gradient_norm: Option<f64>,
    pub ema_distance: Option<f64>,
    pub skips: Skips,
    /// The samples of the update in work.
    pub keys: Vec<SampleKey>,
    pub unkeyed: UnkeyedSamples,
    pub contributions: Contributions,
}

/// Updates that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Skips {
    /// All of them.
    pub total: u64,
    /// Those since the last update that was made.
    pub in_a_row: u64,
}

/// What a step shows, as it is kept with a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Remembered {
    pub gradient_norm: Option<f64>,
    pub ema_distance: Option<f64>,
    pub skips: Skips,
}

impl std::fmt::Debug for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunState").field("fault", &self.fault()).field("done", &self.done()).finish()
    }
}

impl RunState {
    /// Keeps the first fault, and stops Burn's training if it can.
    pub fn report(&self, fault: Fault) {
        if let Some(interrupter) = &self.interrupter {
            // Burn's error type has no variant of its own for a step.
            interrupter.fail(TrainingError::Dataset(burn::data::dataset::DatasetError::new(fault.clone())));
        }
        self.lock().fault.get_or_insert(fault);
    }

    /// What stopped the training, if something did.
    pub fn fault(&self) -> Option<Fault> {
        self.lock().fault.clone()
    }

    /// Updates done, counted over resumed runs.
    pub fn done(&self) -> u64 {
        self.lock().done
    }

    pub fn set_done(&self, updates: u64) {
        self.lock().done = updates;
    }

    /// What the step shows.
    pub fn remembered(&self) -> Remembered {
        let shared = self.lock();
        Remembered { gradient_norm: shared.gradient_norm, ema_distance: shared.ema_distance, skips: shared.skips }
    }

    /// Puts back what a checkpoint kept.
    pub fn remember(&self, remembered: Remembered) {
        let mut shared = self.lock();
        (shared.gradient_norm, shared.ema_distance, shared.skips) =
            (remembered.gradient_norm, remembered.ema_distance, remembered.skips);
    }

    /// The samples of the update in work, which is the one at fault if there is a fault.
    pub fn keys(&self) -> Vec<SampleKey> {
        self.lock().keys.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(|e| e.into_inner())
    }
}
