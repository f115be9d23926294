//! The condition of the networks that JSON can name: labels, and what only some of them read.
use super::mmdit::TextCondition;
use crate::network::Condition;
use burn::tensor::{Device, Int, Tensor};
use std::ops::Range;

/// A batch of conditions for a [`Network`](super::Network); each network reads its own part.
#[derive(Debug, Clone)]
pub struct NetworkCondition {
    /// Class labels `[batch]`; zeros where the data have none.
    pub labels: Tensor<1, Int>,
    /// REPA's target features, `[batch, tokens, width]` for each encoder; empty outside of its training.
    pub features: Vec<Tensor<3>>,
    /// The text embeddings of Stable Diffusion 3.5.
    pub text: Option<TextCondition>,
}

impl From<Tensor<1, Int>> for NetworkCondition {
    fn from(labels: Tensor<1, Int>) -> Self {
        Self { labels, features: Vec::new(), text: None }
    }
}

impl Condition for NetworkCondition {
    fn to_device(self, device: &Device) -> Self {
        Self {
            labels: self.labels.to_device(device),
            features: self.features.into_iter().map(|f| f.to_device(device)).collect(),
            text: self.text.map(|text| text.to_device(device)),
        }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self {
            labels: Condition::slice(&self.labels, range.clone()),
            features: self.features.iter().map(|f| f.clone().narrow(0, range.start, range.len())).collect(),
            text: self.text.as_ref().map(|text| text.slice(range)),
        }
    }

    fn concat(self, other: Self) -> Self {
        let pairs = self.features.into_iter().zip(other.features);
        Self {
            labels: self.labels.concat(other.labels),
            features: pairs.map(|(first, second)| Tensor::cat(vec![first, second], 0)).collect(),
            text: self.text.zip(other.text).map(|(first, second)| first.concat(second)),
        }
    }

    fn count(&self) -> Option<usize> {
        self.labels.count()
    }

    fn joins(&self, other: &Self) -> bool {
        self.text.as_ref().zip(other.text.as_ref()).is_none_or(|(first, second)| first.joins(second))
    }
}
