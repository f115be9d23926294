//! What a loader yields.
use crate::random::SampleKey;
use burn::tensor::Tensor;

/// A batch of data `x1` with its conditions.
#[derive(Debug, Clone)]
pub struct FlowBatch<const D: usize, C> {
    /// The data `x1`, `[batch, ...]`.
    pub data: Tensor<D>,
    /// One condition per sample.
    pub condition: C,
    /// One key per sample. `None` lets the step make keys of its own: from the optimizer step while
    /// training, from the bits of the sample while validating. Several devices then race for the keys of a step; an
    /// `EpochLoader` gives every sample its own.
    pub keys: Option<Vec<SampleKey>>,
}

impl<const D: usize, C> FlowBatch<D, C> {
    /// A batch without keys, as a user's own Burn batcher makes it.
    pub fn new(data: Tensor<D>, condition: C) -> Self {
        Self { data, condition, keys: None }
    }
}
