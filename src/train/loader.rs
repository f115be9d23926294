//! A loader whose order and keys are a pure function of (seed, epoch), and which loads ahead.
//!
//! Burn's own loader advances a generator each epoch and replays the first shuffles after a resume;
//! this one is told the epoch, so a resumed run sees what the uninterrupted run would have seen.
use super::ahead::Ahead;
use super::batches::{Batches, Shard};
use super::{EpochLoaderBuilder, FlowBatch, Segments};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Loads keyed batches. Divided over `k` devices with batch `b`, iteration `j` sees together exactly
/// the samples that one device with batch `k·b` sees.
///
/// While one batch is worked on, a thread loads the next two and draws their noise, over the end of an epoch too.
pub struct EpochLoader<I, const D: usize, C> {
    pub(super) batches: Batches<I, D, C>,
    pub(super) batches_per_epoch: Option<usize>,
    pub(super) segments: Option<Segments>,
    /// The first batch that was not yielded yet.
    pub(super) next: AtomicU64,
    /// What an iteration left that was loaded already, and the number of its first batch.
    pub(super) left: Mutex<Option<(u64, Ahead<Loaded<D, C>>)>>,
}

pub(super) type Loaded<const D: usize, C> = std::result::Result<FlowBatch<D, C>, DatasetError>;

impl<I, const D: usize, C> EpochLoader<I, D, C> {
    fn left(&self) -> MutexGuard<'_, Option<(u64, Ahead<Loaded<D, C>>)>> {
        self.left.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn batches_per_iteration(&self) -> usize {
        self.batches_per_epoch.filter(|_| self.batches.training).unwrap_or_else(|| self.batches.per_pass())
    }
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> EpochLoader<I, D, C> {
    /// A shuffled training loader that drops the last incomplete batch of a pass.
    pub fn training(
        dataset: impl Dataset<I> + 'static,
        batcher: impl Batcher<I, FlowBatch<D, C>> + 'static,
        device: &Device,
    ) -> EpochLoaderBuilder<I, D, C> {
        EpochLoaderBuilder::new(Arc::new(dataset), Arc::new(batcher), device, true)
    }

    /// A validation loader: fixed order, the same keys at every epoch, nothing dropped.
    pub fn validation(
        dataset: impl Dataset<I> + 'static,
        batcher: impl Batcher<I, FlowBatch<D, C>> + 'static,
        device: &Device,
    ) -> EpochLoaderBuilder<I, D, C> {
        EpochLoaderBuilder::new(Arc::new(dataset), Arc::new(batcher), device, false)
    }

    fn derive(&self, device: Device, shard: Shard) -> Self {
        Self {
            batches: Batches { device, shard, ..self.batches.clone() },
            segments: self.segments.clone(),
            next: AtomicU64::new(self.next.load(Ordering::SeqCst)),
            left: Mutex::default(),
            ..*self
        }
    }

    /// Items of the epoch in work that were yielded before batch `first`.
    fn items_before(&self, first: u64) -> usize {
        let within = if self.segments.is_some() && self.batches.training {
            first % self.batches_per_iteration() as u64
        } else {
            0
        };
        within as usize * self.batches.size
    }

    /// Whether the batch `next` may be yielded.
    fn goes_on(&self, next: u64) -> bool {
        let Some(segments) = self.segments.as_ref().filter(|_| self.batches.training) else { return true };
        let per_step = self.batches.per_step as u64;
        // Within an update there is nothing to end.
        !next.is_multiple_of(per_step) && segments.is_unhurt()
            || segments.goes_on(self.batches.shard.index, usize::try_from(next / per_step).unwrap_or(usize::MAX))
    }

    /// The items behind some keys of this run, in their order.
    pub(crate) fn items_of(&self, keys: &[crate::random::SampleKey]) -> Vec<usize> {
        self.batches.items_of(keys)
    }
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> DataLoader<FlowBatch<D, C>> for EpochLoader<I, D, C> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<FlowBatch<D, C>> + 'a> {
        let count = self.batches_per_iteration() as u64;
        let training = self.batches.training;
        let (first, end) = match (&self.segments, training) {
            (None, true) => {
                let first = self.next.fetch_add(count, Ordering::SeqCst);
                (first, first.saturating_add(count))
            }
            (Some(segments), true) => {
                if self.batches.shard.index == 0 {
                    segments.begin();
                }
                (self.next.load(Ordering::SeqCst), u64::MAX)
            }
            (None, false) => (0, count),
            (Some(segments), false) => (0, if segments.is_validated() { count } else { 0 }),
        };
        // While training, what was loaded for the next iteration is kept for it, up to the last one if it is known.
        let per_step = self.batches.per_step as u64;
        let last = match &self.segments {
            Some(segments) if training => (segments.last() as u64).saturating_mul(per_step),
            None if training => u64::MAX,
            _ => end,
        };
        let ahead = self.left().take().filter(|(next, _)| training && *next == first).map(|(_, ahead)| ahead);
        let is_empty = first >= last;
        let ahead = ahead.or_else(|| {
            let (batches, mut numbers, mut order) = (self.batches.clone(), first..last, None);
            (!is_empty).then(|| Ahead::start(move || batches.load(numbers.next()?, &mut order)))
        });
        Box::new(Iter { loader: self, next: first, end, ahead, items: self.items_before(first) })
    }

    fn num_items(&self) -> usize {
        if self.batches.training {
            self.batches_per_iteration() * self.batches.size
        } else {
            self.batches.dataset.len() / self.batches.shard.count
        }
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<FlowBatch<D, C>>> {
        Arc::new(self.derive(device.clone(), self.batches.shard))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<FlowBatch<D, C>>> {
        Arc::new(self.derive(self.batches.device.clone(), Shard::of(start, end, self.num_items())))
    }
}

struct Iter<'a, I, const D: usize, C> {
    loader: &'a EpochLoader<I, D, C>,
    next: u64,
    end: u64,
    ahead: Option<Ahead<Loaded<D, C>>>,
    items: usize,
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> Iterator for Iter<'_, I, D, C> {
    type Item = Loaded<D, C>;

    fn next(&mut self) -> Option<Self::Item> {
        let loader = self.loader;
        if self.next >= self.end || !loader.goes_on(self.next) {
            return None;
        }
        let batch = match (self.ahead.as_mut()?.next()?, &loader.segments) {
            (Ok(batch), _) => batch,
            (Err(error), None) => {
                // Whoever goes on after an error does so with the next batch.
                self.next += 1;
                return Some(Err(error));
            }
            (Err(error), Some(segments)) => {
                // The segment ends here, so that what was reached is saved.
                segments.fail(error.to_string());
                self.ahead = None;
                loader.goes_on(self.next);
                return None;
            }
        };
        self.next += 1;
        self.items += batch.keys.as_ref().map_or(0, Vec::len);
        if loader.segments.is_some() && loader.batches.training {
            loader.next.store(self.next, Ordering::SeqCst);
        }
        Some(Ok(batch))
    }
}

impl<I, const D: usize, C> Drop for Iter<'_, I, D, C> {
    fn drop(&mut self) {
        if self.loader.batches.training {
            *self.loader.left() = self.ahead.take().filter(Ahead::goes_on).map(|ahead| (self.next, ahead));
        }
    }
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> DataLoaderIterator<FlowBatch<D, C>>
    for Iter<'_, I, D, C>
{
    fn progress(&self) -> Progress {
        Progress::new(self.items, self.loader.num_items(), Some("items".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SampleKey;
    use burn::data::dataloader::split::split_dataloader;
    use burn::data::dataset::InMemDataset;
    use burn::tensor::Tensor;

    struct Numbers;
    impl Batcher<f32, FlowBatch<2, ()>> for Numbers {
        fn batch(&self, items: Vec<f32>, device: &Device) -> FlowBatch<2, ()> {
            let n = items.len();
            FlowBatch::new(Tensor::<1>::from_floats(items.as_slice(), device).reshape([n, 1]), ())
        }
    }

    type Seen = Vec<(Vec<u32>, Vec<SampleKey>)>;

    fn builder(batch: usize) -> EpochLoaderBuilder<f32, 2, ()> {
        let data = InMemDataset::new((0..103).map(|i| i as f32).collect());
        EpochLoader::training(data, Numbers, &Device::flex()).with_batch_size(batch).with_seed(5)
    }

    fn loader(batch: usize) -> EpochLoader<f32, 2, ()> {
        builder(batch).build().unwrap()
    }

    fn seen(loader: &dyn DataLoader<FlowBatch<2, ()>>) -> Seen {
        let batch =
            |b: FlowBatch<2, ()>| (b.data.into_data().iter::<f32>().map(|v| v as u32).collect(), b.keys.unwrap());
        loader.iter().map(|b| batch(b.unwrap())).collect()
    }

    #[test]
    fn every_batch_comes_with_the_noise_of_its_keys() {
        let data = InMemDataset::new((0..7).map(|i| i as f32).collect());
        let validation = EpochLoader::validation(data, Numbers, &Device::flex()).with_batch_size(3).build().unwrap();
        for loader in [loader(10), validation] {
            for batch in loader.iter().map(Result::unwrap) {
                let (keys, noise) = (batch.keys.unwrap(), batch.noise.unwrap());
                assert_eq!((&noise.keys, noise.noise.dims()), (&keys, batch.data.dims()));
            }
        }
    }

    #[test]
    fn an_iteration_that_is_left_early_takes_nothing_from_the_next() {
        let (whole, left) = (builder(10).with_batches_per_epoch(7).build().unwrap(), builder(10));
        let left = left.with_batches_per_epoch(7).build().unwrap();
        let epochs: Vec<_> = (0..3).map(|_| seen(&whole)).collect();
        assert_eq!(left.iter().take(2).count(), 2);
        assert_eq!([seen(&left), seen(&left)], epochs[1..]);
    }

    #[test]
    fn a_resumed_loader_goes_on_where_the_first_would() {
        let whole = builder(10).with_batches_per_epoch(7).build().unwrap();
        let epochs: Vec<_> = (0..4).map(|_| seen(&whole)).collect();
        let resumed = builder(10).with_batches_per_epoch(7).with_finished_epochs(3).build().unwrap();
        assert_eq!(seen(&resumed), epochs[3]);
        assert_ne!(epochs[0], epochs[1]);
    }

    #[test]
    fn devices_together_see_what_one_device_with_the_whole_batch_sees() {
        let devices = vec![Device::flex(); 3];
        let shards = split_dataloader(Arc::new(loader(4)) as Arc<dyn DataLoader<_>>, &devices);
        let parts: Vec<Seen> = shards.iter().map(|s| seen(s.as_ref())).collect();
        let whole = seen(&loader(12));
        assert_eq!(whole.len(), 8);
        for (j, (data, keys)) in whole.iter().enumerate() {
            assert_eq!(*data, parts.iter().flat_map(|p| p[j].0.clone()).collect::<Vec<_>>());
            assert_eq!(*keys, parts.iter().flat_map(|p| p[j].1.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn accumulated_batches_are_those_of_one_large_batch() {
        let (large, small) = (loader(20), builder(5).with_batches_per_step(4).build().unwrap());
        for _ in 0..2 {
            let flat = |loader: &dyn DataLoader<FlowBatch<2, ()>>| -> Vec<_> {
                seen(loader).into_iter().flat_map(|(data, keys)| data.into_iter().zip(keys)).collect()
            };
            let whole = flat(&large);
            assert_eq!(whole.len(), 100);
            assert_eq!(whole, flat(&small));
        }
        let huge = builder(4).with_batches_per_step(1 << 62).build().unwrap();
        assert!(!seen(&huge).is_empty(), "fewer items than one step takes");
    }
}
