//! Checkpoint sets that are complete or absent, and know what they belong to.
//!
//! * [`CheckpointSets`]: the folder, and the checkpointers that Burn's learner saves with;
//! * [`Identity`]: what a set belongs to, so that no other training goes on from it;
//! * [`Retention`]: which sets stay.
mod identity;
mod manifest;
mod pack;
mod part;
mod retention;
mod sets;

#[cfg(feature = "data")]
pub(crate) use identity::differences;
pub use identity::{Identity, architecture};
pub(crate) use manifest::{Accepted, Best, History, Rollback};
pub use part::Part;
pub use retention::Retention;
pub use sets::CheckpointSets;
pub(crate) use sets::LoadedSet;
#[cfg(feature = "experiment")]
pub(crate) use sets::{Newest, manifests, newest, newest_step, saved_at};

/// The first tensor of a burnpack that holds a NaN or an infinity.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) if the bytes of `file` are none.
#[cfg(feature = "experiment")]
pub(crate) fn not_finite(file: &std::path::Path, bytes: burn::tensor::Bytes) -> crate::Result<Option<String>> {
    Ok(pack::Pack::open(file, bytes)?.not_finite().map(str::to_string))
}

/// The folder of checkpoint sets in that of a training.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
