//! Stops a run before a non-finite loss or gradient reaches the weights.
use crate::random::SampleKey;
use burn_train::{Interrupter, TrainingError};
use std::sync::{Arc, Mutex};

/// A non-finite gradient: the update was not made.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFinite {
    /// The optimizer step that was skipped, counted from 0.
    pub step: u64,
    /// The value of the gradient norm.
    pub norm: f64,
    /// First key of the newest batch that contributed.
    pub batch: Option<SampleKey>,
}

impl std::fmt::Display for NonFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the gradient norm is {} at optimizer step {}", self.norm, self.step)?;
        if let Some(key) = self.batch {
            write!(f, ", in the batch that starts at position {} of epoch {}", key.position, key.epoch)?;
        }
        write!(f, "; the update was not made and the last checkpoint is good")
    }
}

impl std::error::Error for NonFinite {}

/// Shared by every clone and fork of a step.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    pub interrupter: Option<Interrupter>,
    fault: Arc<Mutex<Option<NonFinite>>>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("fault", &self.fault()).finish()
    }
}

impl Guard {
    pub fn report(&self, fault: NonFinite) {
        if let Some(interrupter) = &self.interrupter {
            interrupter.fail(TrainingError::Dataset(burn_dataset::DatasetError::new(fault.clone())));
        }
        self.fault.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(fault);
    }

    pub fn fault(&self) -> Option<NonFinite> {
        self.fault.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}
