//! Collects what an [`EpochLoader`] needs and checks it once.
use super::batches::{Batches, Shard};
use super::{EpochLoader, FlowBatch, Segments};
use crate::{Error, Problem, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Builds an [`EpochLoader`]; begin with [`EpochLoader::training`] or [`EpochLoader::validation`].
///
/// Left alone: batches of 32 (fewer for a smaller validation set), seed 0, a new run, one pass over the data per epoch.
pub struct EpochLoaderBuilder<I, const D: usize, C> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn Batcher<I, FlowBatch<D, C>>>,
    device: Device,
    training: bool,
    batch_size: usize,
    seed: u64,
    finished_epochs: usize,
    batches_per_epoch: Option<usize>,
    batches_per_step: usize,
    segments: Option<Segments>,
    finished_steps: Option<usize>,
}

impl<I, const D: usize, C> EpochLoaderBuilder<I, D, C> {
    pub(super) fn new(
        dataset: Arc<dyn Dataset<I>>,
        batcher: Arc<dyn Batcher<I, FlowBatch<D, C>>>,
        device: &Device,
        training: bool,
    ) -> Self {
        Self {
            dataset,
            batcher,
            device: device.clone(),
            training,
            batch_size: 32,
            seed: 0,
            finished_epochs: 0,
            batches_per_epoch: None,
            batches_per_step: 1,
            segments: None,
            finished_steps: None,
        }
    }

    /// Samples per batch and device; at least 1, and while training at most the size of the data set.
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// The seed of the order and of every sample's key.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Goes on after so many epochs: the number of the checkpoint that a run resumes from.
    pub fn with_finished_epochs(self, finished_epochs: usize) -> Self {
        Self { finished_epochs, ..self }
    }

    /// Lets a Burn epoch be `batches` batches per device, at least 1, so that checkpoints come every so many
    /// steps. The passes over the data go on across epochs: the order does not change.
    pub fn with_batches_per_epoch(self, batches: usize) -> Self {
        Self { batches_per_epoch: Some(batches), ..self }
    }

    /// Lets an optimizer step be made of `batches` batches per device, at least 1 (gradient accumulation): a pass over the
    /// data then drops the last incomplete step, so that the steps are those of one large batch.
    pub fn with_batches_per_step(self, batches: usize) -> Self {
        Self { batches_per_step: batches, ..self }
    }

    /// Ends Burn's epochs where the training is cut, and goes on after so many steps.
    pub(crate) fn with_segments(self, segments: Segments, finished_steps: usize) -> Self {
        Self { segments: Some(segments), finished_steps: Some(finished_steps), ..self }
    }

    /// The loader.
    ///
    /// # Errors
    /// [`Error::Config`] with every value out of its range, an empty data set among them.
    pub fn build(self) -> Result<EpochLoader<I, D, C>> {
        let items = self.dataset.len();
        let mut problems = Vec::new();
        let batch_size = if self.training { self.batch_size } else { self.batch_size.min(items) };
        let must = format!("must be in 1..={items}, the size of the data set");
        let fits = (1..=items).contains(&batch_size);
        Problem::unless(&mut problems, fits, "", "batch_size", self.batch_size, must);
        let epoch = self.batches_per_epoch.unwrap_or(1);
        for (key, count) in [("batches_per_epoch", epoch), ("batches_per_step", self.batches_per_step)] {
            Problem::unless(&mut problems, count > 0, "", key, count, "must be at least 1");
        }
        Error::if_any(problems)?;
        let batches = Batches {
            dataset: self.dataset,
            batcher: self.batcher,
            device: self.device,
            size: batch_size,
            seed: self.seed,
            training: self.training,
            per_step: self.batches_per_step,
            shard: Shard::WHOLE,
        };
        let (batches_per_epoch, segments) = (self.batches_per_epoch, self.segments);
        let loader =
            EpochLoader { batches, batches_per_epoch, segments, next: AtomicU64::new(0), left: Mutex::default() };
        let finished = match self.finished_steps {
            Some(steps) => steps.saturating_mul(self.batches_per_step),
            None => self.finished_epochs.saturating_mul(loader.batches_per_iteration()),
        };
        loader.next.store(finished as u64, Ordering::SeqCst);
        Ok(loader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::InMemDataset;
    use burn::tensor::Tensor;

    struct Numbers;
    impl Batcher<f32, FlowBatch<2, ()>> for Numbers {
        fn batch(&self, items: Vec<f32>, device: &Device) -> FlowBatch<2, ()> {
            FlowBatch::new(Tensor::zeros([items.len(), 1], device), ())
        }
    }

    #[test]
    fn everything_impossible_is_reported_at_once() {
        let data = |count: usize| InMemDataset::new(vec![1.0f32; count]);
        let training = EpochLoader::training(data(1), Numbers, &Device::flex()).with_batch_size(2);
        let error = training.with_batches_per_epoch(0).with_batches_per_step(0).build().err().unwrap().to_string();
        for part in [
            "batch_size = 2: must be in 1..=1, the size of the data set",
            "batches_per_epoch = 0",
            "batches_per_step = 0",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert!(EpochLoader::validation(data(1), Numbers, &Device::flex()).with_batch_size(2).build().is_ok());
        assert!(EpochLoader::validation(data(0), Numbers, &Device::flex()).build().is_err());
    }
}
