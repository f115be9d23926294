//! Encoded prompts: a sequence of text tokens and one pooled vector per sample.
use crate::network::Condition;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use std::ops::Range;
use std::sync::Arc;

/// The encoding of the empty prompt.
#[derive(Debug, Clone)]
pub struct NullText {
    /// Its text tokens, `[1, length, width]`.
    pub context: Tensor<3>,
    /// Its pooled vector, `[1, pooled_width]`.
    pub pooled: Option<Tensor<2>>,
}

/// A batch of encoded prompts of one length.
///
/// For SD3.5: the penultimate hidden states of CLIP-L and CLIP-G side by side, padded to 4096, then those of T5-XXL; and
/// the pooled vectors of CLIP-L (not projected) and CLIP-G side by side.
#[derive(Debug, Clone)]
pub struct TextCondition {
    /// The text tokens, `[batch, length, width]`.
    pub context: Tensor<3>,
    /// The pooled vectors, `[batch, pooled_width]`.
    pub pooled: Option<Tensor<2>>,
    /// What a dropped prompt becomes; without it no prompt can be dropped.
    pub null: Option<Arc<NullText>>,
}

impl TextCondition {
    /// Prompts that cannot be dropped.
    pub fn new(context: Tensor<3>, pooled: Option<Tensor<2>>) -> Self {
        Self { context, pooled, null: None }
    }

    /// The same prompts, which become `null` where they are dropped.
    pub fn with_null(self, null: Arc<NullText>) -> Self {
        Self { null: Some(null), ..self }
    }

    /// The prompts with the marked ones, one mark per sample, replaced by the empty prompt.
    ///
    /// `None` without an encoding of the empty prompt, if it is of another width, or of another length while some
    /// prompt stays (attention sees every token, so there is no padding), or if it lacks the pooled vector that the prompts have. If all are dropped its length is the new length.
    pub fn drop(&self, dropped: &[bool]) -> Option<Self> {
        let null = self.null.as_ref()?;
        let [batch, length, width] = self.context.dims();
        let [_, null_length, null_width] = null.context.dims();
        let all = dropped.iter().all(|d| *d);
        if null_width != width || !all && length != null_length {
            return None;
        }
        let marks = Tensor::<1, Bool>::from_data(TensorData::from(dropped), &self.context.device());
        let context = null.context.clone().cast(self.context.dtype()).expand([batch, null_length, width]);
        let context = if all {
            context
        } else {
            let marks = marks.clone().reshape([batch, 1, 1]).expand([batch, length, width]);
            self.context.clone().mask_where(marks, context)
        };
        let pooled = match &self.pooled {
            Some(pooled) => {
                let [batch, width] = pooled.dims();
                let empty = null.pooled.clone().filter(|p| p.dims() == [1, width])?.cast(pooled.dtype());
                let marks = marks.reshape([batch, 1]).expand([batch, width]);
                Some(pooled.clone().mask_where(marks, empty.expand([batch, width])))
            }
            None => None,
        };
        Some(Self { context, pooled, null: Some(null.clone()) })
    }
}

impl Condition for TextCondition {
    fn to_device(self, device: &Device) -> Self {
        let null = self.null.map(|null| {
            let NullText { context, pooled } = Arc::unwrap_or_clone(null);
            Arc::new(NullText { context: context.to_device(device), pooled: pooled.map(|p| p.to_device(device)) })
        });
        Self { context: self.context.to_device(device), pooled: self.pooled.map(|p| p.to_device(device)), null }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self {
            context: self.context.clone().slice([range.clone()]),
            pooled: self.pooled.clone().map(|p| p.slice([range])),
            null: self.null.clone(),
        }
    }

    /// Both batches must have one length. The result has pooled vectors if both have.
    fn concat(self, other: Self) -> Self {
        Self {
            context: Tensor::cat(vec![self.context, other.context], 0),
            pooled: self.pooled.zip(other.pooled).map(|(a, b)| Tensor::cat(vec![a, b], 0)),
            null: self.null.or(other.null),
        }
    }

    fn count(&self) -> Option<usize> {
        Some(self.context.dims()[0])
    }

    fn joins(&self, other: &Self) -> bool {
        self.context.dims()[1] == other.context.dims()[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(length: usize) -> TextCondition {
        let device = Device::flex();
        let context = Tensor::ones([3, length, 2], &device);
        TextCondition::new(context, Some(Tensor::ones([3, 4], &device)))
    }

    fn null(length: usize, pooled: bool) -> Arc<NullText> {
        let device = Device::flex();
        let pooled = pooled.then(|| Tensor::zeros([1, 4], &device));
        Arc::new(NullText { context: Tensor::zeros([1, length, 2], &device), pooled })
    }

    fn sums<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        let [batch, rest] = [tensor.dims()[0], tensor.dims()[1..].iter().product()];
        tensor.reshape([batch, rest]).sum_dim(1).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn dropped_prompts_become_the_empty_one() {
        let dropped = prompts(2).with_null(null(2, true)).drop(&[true, false, true]).unwrap();
        assert_eq!(sums(dropped.context), [0.0, 4.0, 0.0]);
        assert_eq!(sums(dropped.pooled.unwrap()), [0.0, 4.0, 0.0]);
    }

    #[test]
    fn an_empty_prompt_of_another_length_can_replace_all_or_nothing() {
        let longer = prompts(3).with_null(null(2, true));
        assert!(longer.drop(&[true, false, true]).is_none());
        assert!(!longer.joins(&longer.drop(&[true; 3]).unwrap()) && longer.joins(&prompts(3)));
        assert_eq!(longer.drop(&[true; 3]).unwrap().context.dims(), [3, 2, 2]);
    }

    #[test]
    fn what_has_no_empty_counterpart_cannot_be_dropped() {
        assert!(prompts(2).drop(&[false; 3]).is_none());
        assert!(prompts(2).with_null(null(2, false)).drop(&[true; 3]).is_none());
    }

    #[test]
    fn slices_joined_are_the_batch() {
        let dropped = prompts(2).with_null(null(2, true)).drop(&[true, false, false]).unwrap();
        let joined = dropped.slice(0..1).concat(dropped.slice(1..3)).to_device(&Device::flex());
        assert_eq!(joined.context.into_data(), dropped.context.into_data());
        assert_eq!(joined.pooled.unwrap().into_data(), dropped.pooled.unwrap().into_data());
        assert!(joined.null.is_some());
    }
}
