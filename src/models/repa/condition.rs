//! What REPA is conditioned on and aligned with.
use crate::network::Condition;
use burn::tensor::{Device, Int, Tensor};
use std::ops::Range;

/// Class labels and, in training, features of the clean images; [`RepaConfig::condition`](super::RepaConfig::condition)
/// checks them.
#[derive(Debug, Clone)]
pub struct RepaCondition {
    /// The class of each sample, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// For each encoder the features `[batch, tokens, z_dim]`; empty when sampling, and then nothing is aligned.
    pub features: Vec<Tensor<3>>,
}

/// Labels alone.
impl From<Tensor<1, Int>> for RepaCondition {
    fn from(labels: Tensor<1, Int>) -> Self {
        Self { labels, features: Vec::new() }
    }
}

/// A joined batch has features if both have.
impl Condition for RepaCondition {
    fn to_device(self, device: &Device) -> Self {
        let features = self.features.into_iter().map(|f| f.to_device(device)).collect();
        Self { labels: Tensor::to_device(self.labels, device), features }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let features = self.features.iter().map(|f| f.clone().slice([range.clone()])).collect();
        Self { labels: self.labels.clone().slice([range]), features }
    }

    fn concat(self, other: Self) -> Self {
        let pairs = self.features.into_iter().zip(other.features);
        let features = pairs.map(|(a, b)| Tensor::cat(vec![a, b], 0)).collect();
        Self { labels: Tensor::cat(vec![self.labels, other.labels], 0), features }
    }

    fn count(&self) -> Option<usize> {
        self.labels.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> RepaCondition {
        let device = Device::flex();
        let features = Tensor::<1>::from_floats([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &device).reshape([3, 1, 2]);
        RepaCondition { labels: Tensor::from_ints([5, 6, 7], &device), features: vec![features] }
    }

    #[test]
    fn slices_join_to_the_whole() {
        let whole = batch();
        let joined = whole.slice(0..1).concat(whole.slice(1..3)).to_device(&Device::flex());
        assert_eq!(joined.labels.into_data(), whole.labels.into_data());
        assert_eq!(joined.features.len(), 1);
        assert_eq!(joined.features[0].to_data(), whole.features[0].to_data());
        assert_eq!(whole.features[0].dims(), [3, 1, 2]);
    }

    #[test]
    fn features_join_only_with_features() {
        let labels = RepaCondition::from(batch().labels);
        assert!(batch().concat(labels).features.is_empty());
    }
}
