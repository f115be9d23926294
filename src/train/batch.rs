//! What a loader yields.
use super::DrawnNoise;
use crate::random::{Purpose, SampleKey, normal};
use burn::tensor::{Bool, Tensor, TensorData};
use rand::RngExt;

/// A batch of data `x1` with its conditions.
#[derive(Debug, Clone)]
pub struct FlowBatch<const D: usize, C> {
    /// The data `x1`, `[batch, ...]`.
    pub data: Tensor<D>,
    /// If the data are known only as N(data, deviation²), as an encoder's posterior is: the standard deviation,
    /// shaped like the data. The step then trains on `x1 = data + deviation·ξ`, ξ a function of the sample's key.
    pub deviation: Option<Tensor<D>>,
    /// Whether half of the samples, drawn from their keys, are mirrored along their last axis: left and right of pictures.
    pub mirror: bool,
    /// How much each element counts in the loss of its sample, which is `Σ w e² / Σ w`: 0 for padding. Shaped like the
    /// data, or 1 in dimensions it does not depend on, as in `[batch, tokens, 1]`. At least 0.
    pub weight: Option<Tensor<D>>,
    /// One condition per sample.
    pub condition: C,
    /// The noise `x0` of the samples, if it was drawn already, as an `EpochLoader` does while the step before is
    /// computed. `None`, or that of other keys, lets the step draw it.
    pub noise: Option<DrawnNoise<D>>,
    /// One key per sample. `None` lets the step make keys of its own: from the optimizer step while
    /// training, from the bits of the sample while validating. Several devices then race for the keys of a step; an
    /// `EpochLoader` gives every sample its own.
    pub keys: Option<Vec<SampleKey>>,
}

impl<const D: usize, C> FlowBatch<D, C> {
    /// A batch as a user's own Burn batcher makes it: every element counts, no deviation, no keys.
    pub fn new(data: Tensor<D>, condition: C) -> Self {
        Self { data, deviation: None, mirror: false, weight: None, condition, noise: None, keys: None }
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

    /// Lets half of the samples be mirrored along their last axis.
    pub fn with_mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    /// The same batch with the data drawn: mirrored or not, then `x1 = data + deviation·ξ`, ξ ~ N(0, 1), both from the
    /// streams of each key. A batch with neither is returned as it is.
    pub fn drawn(mut self, keys: &[SampleKey]) -> Self {
        if std::mem::take(&mut self.mirror) {
            let mirrored: Vec<bool> = keys.iter().map(|key| key.rng(Purpose::Data).random()).collect();
            let mask = Tensor::<1, Bool>::from_data(TensorData::new(mirrored, [keys.len()]), &self.data.device());
            let mut shape = [1; D];
            shape[0] = keys.len();
            let mask = mask.reshape(shape).expand(self.data.dims());
            let chosen = |data: Tensor<D>| data.clone().mask_where(mask.clone(), data.flip([D as isize - 1]));
            self.deviation = self.deviation.map(&chosen);
            self.data = chosen(self.data);
        }
        if let Some(deviation) = self.deviation.take() {
            let noise = normal(keys, Purpose::Posterior, &self.data.dims()[1..]);
            self.data = self.data.clone() + deviation * Tensor::from_data(noise, &self.data.device());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values<const D: usize>(data: Tensor<D>) -> Vec<f32> {
        data.into_data().iter::<f32>().collect()
    }

    #[test]
    fn half_of_the_samples_are_mirrored_and_the_key_says_which() {
        let (count, device) = (400, Device::flex());
        let data: Vec<f32> = (0..count * 6).map(|v| v as f32).collect();
        let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed: 3, epoch: 1, position }).collect();
        let batch = |range: std::ops::Range<usize>| {
            let part = TensorData::new(data[range.start * 6..range.end * 6].to_vec(), [range.len(), 1, 2, 3]);
            FlowBatch::new(Tensor::<4>::from_data(part, &device), ()).with_mirror(true)
        };
        let drawn = batch(0..count).drawn(&keys);
        assert!(!drawn.mirror);
        let found = values(drawn.data);
        let mut mirrored = 0;
        for (old, new) in data.chunks(6).zip(found.chunks(6)) {
            let other = [old[2], old[1], old[0], old[5], old[4], old[3]];
            assert!(new == old || new == other, "{old:?} {new:?}");
            mirrored += usize::from(new == other);
        }
        // Four deviations of 10: a false alarm in 16,000 seeds.
        assert!((160..=240).contains(&mirrored), "{mirrored}");
        let parts = [0..150, 150..count].map(|range| values(batch(range.clone()).drawn(&keys[range]).data));
        assert_eq!(parts.concat(), found);
        let plain = values(batch(0..count).with_mirror(false).drawn(&keys).data);
        assert_eq!(plain, data);
        let other: Vec<_> = keys.iter().map(|key| SampleKey { epoch: 2, ..*key }).collect();
        assert_ne!(values(batch(0..count).drawn(&other).data), found);
    }
}
