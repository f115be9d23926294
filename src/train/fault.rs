//! Stops a run before something wrong reaches the weights.
use crate::network::WrongShape;
use crate::random::SampleKey;

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
    /// More updates in a row were left out than the policy allows.
    Skipped {
        /// The step that was to be made, counted from 0.
        step: u64,
        /// Updates that were left out, one after the other.
        in_a_row: u64,
    },
    /// The device failed in a step: it has no memory left, or it is gone.
    Device {
        /// The step that was to be made, counted from 0.
        step: u64,
        /// What it said.
        why: String,
    },
    /// A batch could not be loaded; why.
    Data(String),
    /// Condition dropout was asked for, and the network's `drop_condition` returns `None`.
    NoNullCondition,
    /// Checkpointing of blocks was asked for, and the network hands no block to
    /// [`recomputed`](crate::recompute::recomputed).
    NoBlocks,
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
                write!(f, "; the update was not made")
            }
            Self::Skipped { step, in_a_row } => write!(
                f,
                "{in_a_row} updates in a row were left out, as their gradients were not finite, the last at optimizer step \
                 {step}: the weights or the data are at fault, not a batch"
            ),
            Self::Device { step, why } => write!(f, "the device failed at optimizer step {step}: {why}"),
            Self::Data(why) => f.write_str(why),
            Self::NoNullCondition => write!(f, "condition dropout: the network's `drop_condition` returns `None`"),
            Self::NoBlocks => write!(
                f,
                "checkpointing = \"blocks\": the network hands no block to `recomputed`; take \"none\", or see `recompute`"
            ),
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
