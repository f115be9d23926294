//! The number of updates, saved with the weights and read from the device once.
use burn::module::Param;
use burn::tensor::{Int, Tensor};
use std::sync::{Arc, OnceLock};

/// Counts beside a saved counter: a record is loaded before the first update, so the device is read only once.
#[derive(Debug, Clone, Default)]
pub(super) struct UpdateCount {
    /// Updates since the module was made or loaded; travels through clones and forks.
    since_load: u64,
    at_load: Arc<OnceLock<u64>>,
}

impl UpdateCount {
    /// Updates done, those before a load included.
    pub fn get(&self, saved: &Param<Tensor<1, Int>>) -> u64 {
        self.at_load.get_or_init(|| read(saved).saturating_sub(self.since_load)) + self.since_load
    }

    /// One more.
    pub fn next(&mut self) {
        self.since_load += 1;
    }
}

/// The saved counter itself.
pub(super) fn read(saved: &Param<Tensor<1, Int>>) -> u64 {
    saved.val().into_data().iter::<i64>().next().unwrap_or(0) as u64
}
