//! What happens when a gradient is not finite.
use crate::Problem;
use serde::{Deserialize, Serialize};

/// What happens when the norm of a gradient is a NaN or an infinity. The update is not made in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NonFinitePolicy {
    /// The training ends after a save, and says which samples were in the batch.
    Stop {},
    /// The step is left out and the training goes on, up to a number of such steps in a row.
    Skip {
        /// The most steps in a row that may be left out, at least 1.
        in_a_row: u64,
    },
    /// The training returns to its last checkpoint and goes on from there with other draws.
    Rollback {
        /// How often this may happen, at least 1.
        times: u64,
    },
}

impl Default for NonFinitePolicy {
    fn default() -> Self {
        Self::Stop {}
    }
}

impl NonFinitePolicy {
    /// Everything out of range.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        match *self {
            Self::Stop {} => {}
            Self::Skip { in_a_row: count } => {
                Problem::unless(&mut problems, count > 0, path, "in_a_row", count, "must be at least 1");
            }
            Self::Rollback { times } => {
                Problem::unless(&mut problems, times > 0, path, "times", times, "must be at least 1");
            }
        }
        problems
    }
}
