//! Stops a run before something wrong reaches the weights.
use crate::network::WrongShape;
use crate::random::SampleKey;
use burn::train::{Interrupter, TrainingError};
use std::sync::{Arc, Mutex};

/// Why no update is made any more.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A loss or gradient is not finite.
    NonFinite {
        /// The optimizer step that was not made, counted from 0.
        step: u64,
        /// The value of the gradient norm.
        norm: f64,
        /// First key of the newest batch that contributed.
        batch: Option<SampleKey>,
    },
    /// Condition dropout was asked for, and the network's `drop_condition` returns `None`.
    NoNullCondition,
    /// The network's prediction is not shaped like its input.
    PredictionShape(WrongShape),
    /// The weight of a batch does not fit its data.
    WeightShape {
        /// The shape of the weight.
        found: Vec<usize>,
        /// The shape of the data.
        data: Vec<usize>,
    },
}

impl From<WrongShape> for Fault {
    fn from(shape: WrongShape) -> Self {
        Self::PredictionShape(shape)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NonFinite { step, norm, batch } => {
                write!(f, "the gradient norm is {norm} at optimizer step {step}")?;
                if let Some(key) = batch {
                    write!(f, ", in the batch that starts at position {} of epoch {}", key.position, key.epoch)?;
                }
                write!(f, "; the update was not made and the last checkpoint is good")
            }
            Self::NoNullCondition => write!(f, "condition dropout: the network's `drop_condition` returns `None`"),
            Self::PredictionShape(shape) => shape.fmt(f),
            Self::WeightShape { found, data } => write!(
                f,
                "the weight of a batch has the shape {found:?}, its data {data:?}: must be shaped like them, or 1 in \
                 dimensions after the first"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// Shared by every clone and fork of a step.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    pub interrupter: Option<Interrupter>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("fault", &self.fault()).finish()
    }
}

impl Guard {
    pub fn report(&self, fault: Fault) {
        if let Some(interrupter) = &self.interrupter {
            // Burn's error type has no variant of its own for a step.
            interrupter.fail(TrainingError::Dataset(burn::data::dataset::DatasetError::new(fault.clone())));
        }
        self.fault.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(fault);
    }

    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}
