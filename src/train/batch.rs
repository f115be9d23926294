//! What a loader yields.
use crate::random::{Purpose, SampleKey, normal};
use burn::tensor::Tensor;

/// A batch of data `x1` with its conditions.
#[derive(Debug, Clone)]
pub struct FlowBatch<const D: usize, C> {
    /// The data `x1`, `[batch, ...]`.
    pub data: Tensor<D>,
    /// If the data are known only as N(data, deviation²), as an encoder's posterior is: the standard deviation,
    /// shaped like the data. The step then trains on `x1 = data + deviation·ξ`, ξ a function of the sample's key.
    pub deviation: Option<Tensor<D>>,
    /// How much each element counts in the loss of its sample, which is `Σ w e² / Σ w`: 0 for padding. Shaped like the
    /// data, or 1 in dimensions it does not depend on, as in `[batch, tokens, 1]`. At least 0.
    pub weight: Option<Tensor<D>>,
    /// One condition per sample.
    pub condition: C,
    /// One key per sample. `None` lets the step make keys of its own: from the optimizer step while
    /// training, from the bits of the sample while validating. Several devices then race for the keys of a step; an
    /// `EpochLoader` gives every sample its own.
    pub keys: Option<Vec<SampleKey>>,
}

impl<const D: usize, C> FlowBatch<D, C> {
    /// A batch as a user's own Burn batcher makes it: every element counts, no deviation, no keys.
    pub fn new(data: Tensor<D>, condition: C) -> Self {
        Self { data, deviation: None, weight: None, condition, keys: None }
    }

    /// Sets the standard deviation of the data.
    pub fn with_deviation(self, deviation: Tensor<D>) -> Self {
        Self { deviation: Some(deviation), ..self }
    }

    /// Sets how much each element counts in the loss; a weight of another shape stops the run with a
    /// [`Fault`](crate::train::Fault).
    pub fn with_weight(self, weight: Tensor<D>) -> Self {
        Self { weight: Some(weight), ..self }
    }

    /// Sets the keys of the samples.
    pub fn with_keys(self, keys: Vec<SampleKey>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// The same batch with the data drawn: `x1 = data + deviation·ξ`, ξ ~ N(0, 1) from the stream of each key. A
    /// batch without deviation is returned as it is.
    pub fn drawn(mut self, keys: &[SampleKey]) -> Self {
        if let Some(deviation) = self.deviation.take() {
            let noise = normal(keys, Purpose::Posterior, &self.data.dims()[1..]);
            self.data = self.data.clone() + deviation * Tensor::from_data(noise, &self.data.device());
        }
        self
    }
}
