//! A loader whose order and keys are a pure function of (seed, epoch).
//!
//! Burn's own loader advances a generator each epoch and replays the first shuffles after a resume;
//! this one is told the epoch, so a resumed run sees what the uninterrupted run would have seen.
use super::{EpochLoaderBuilder, FlowBatch, Segments};
use crate::random::{Purpose, SampleKey};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use rand::seq::SliceRandom;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Loads keyed batches. Divided over `k` devices with batch `b`, iteration `j` sees together exactly
/// the samples that one device with batch `k·b` sees.
pub struct EpochLoader<I, const D: usize, C> {
    pub(super) dataset: Arc<dyn Dataset<I>>,
    pub(super) batcher: Arc<dyn Batcher<I, FlowBatch<D, C>>>,
    pub(super) device: Device,
    pub(super) batch_size: usize,
    pub(super) seed: u64,
    pub(super) training: bool,
    pub(super) batches_per_epoch: Option<usize>,
    pub(super) batches_per_step: usize,
    pub(super) shard: Shard,
    pub(super) segments: Option<Segments>,
    /// The first batch that was not yielded yet.
    pub(super) next: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of it.
    pub(super) const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shard that Burn's equal division of `total` items cuts out as `start..end`.
    fn of(start: usize, end: usize, total: usize) -> Self {
        (1..=total)
            .find_map(|count| {
                let step = total / count;
                let index = start / step;
                let stop = if index + 1 == count { total } else { start + step };
                (index < count && index * step == start && stop == end).then_some(Self { index, count })
            })
            .unwrap_or(Self::WHOLE)
    }
}

impl<I, const D: usize, C> EpochLoader<I, D, C> {
    fn batches_per_pass(&self) -> usize {
        let whole = self.batch_size * self.shard.count;
        let items = self.dataset.len();
        if !self.training {
            return items.div_ceil(whole);
        }
        let steps = items / whole.saturating_mul(self.batches_per_step);
        if steps > 0 { steps * self.batches_per_step } else { (items / whole).max(1) }
    }

    pub(super) fn batches_per_iteration(&self) -> usize {
        self.batches_per_epoch.filter(|_| self.training).unwrap_or_else(|| self.batches_per_pass())
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
            dataset: self.dataset.clone(),
            batcher: self.batcher.clone(),
            device,
            shard,
            segments: self.segments.clone(),
            next: AtomicU64::new(self.next.load(Ordering::SeqCst)),
            ..*self
        }
    }

    /// Items of the epoch in work that were yielded before batch `first`.
    fn items_before(&self, first: u64) -> usize {
        let within =
            if self.segments.is_some() && self.training { first % self.batches_per_iteration() as u64 } else { 0 };
        within as usize * self.batch_size
    }

    /// Whether the batch `next` may be yielded.
    fn goes_on(&self, next: u64) -> bool {
        let Some(segments) = self.segments.as_ref().filter(|_| self.training) else { return true };
        let per_step = self.batches_per_step as u64;
        // Within an update there is nothing to end.
        !next.is_multiple_of(per_step) && segments.is_unhurt()
            || segments.goes_on(self.shard.index, usize::try_from(next / per_step).unwrap_or(usize::MAX))
    }

    /// The items behind some keys of this run, in their order.
    pub(crate) fn items_of(&self, keys: &[crate::random::SampleKey]) -> Vec<usize> {
        let mut order = (u64::MAX, Vec::new());
        let item = |key: &crate::random::SampleKey| {
            if order.0 != key.epoch {
                order = (key.epoch, self.order(key.epoch));
            }
            order.1.get(usize::try_from(key.position).ok()?).copied()
        };
        keys.iter().filter_map(item).collect()
    }

    fn order(&self, pass: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.dataset.len()).collect();
        if self.training {
            let key = SampleKey { seed: self.seed, epoch: pass, position: 0 };
            order.shuffle(&mut key.rng(Purpose::Shuffle));
        }
        order
    }
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> DataLoader<FlowBatch<D, C>> for EpochLoader<I, D, C> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<FlowBatch<D, C>> + 'a> {
        let count = self.batches_per_iteration() as u64;
        let (first, end) = match (&self.segments, self.training) {
            (None, true) => {
                let first = self.next.fetch_add(count, Ordering::SeqCst);
                (first, first.saturating_add(count))
            }
            (Some(segments), true) => {
                if self.shard.index == 0 {
                    segments.begin();
                }
                (self.next.load(Ordering::SeqCst), u64::MAX)
            }
            (None, false) => (0, count),
            (Some(segments), false) => (0, if segments.is_validated() { count } else { 0 }),
        };
        Box::new(Iter { loader: self, next: first, end, order: None, items: self.items_before(first) })
    }

    fn num_items(&self) -> usize {
        if self.training {
            self.batches_per_iteration() * self.batch_size
        } else {
            self.dataset.len() / self.shard.count
        }
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<FlowBatch<D, C>>> {
        Arc::new(self.derive(device.clone(), self.shard))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<FlowBatch<D, C>>> {
        Arc::new(self.derive(self.device.clone(), Shard::of(start, end, self.num_items())))
    }
}

struct Iter<'a, I, const D: usize, C> {
    loader: &'a EpochLoader<I, D, C>,
    next: u64,
    end: u64,
    order: Option<(u64, Vec<usize>)>,
    items: usize,
}

impl<I: Send + Sync + 'static, const D: usize, C: Send + 'static> Iterator for Iter<'_, I, D, C> {
    type Item = std::result::Result<FlowBatch<D, C>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let loader = self.loader;
        if self.next >= self.end || !loader.goes_on(self.next) {
            return None;
        }
        let per_pass = loader.batches_per_pass() as u64;
        let (pass, batch) = (self.next / per_pass, (self.next % per_pass) as usize);
        let (_, order) = match self.order.take() {
            Some(order) if order.0 == pass => self.order.insert(order),
            _ => self.order.insert((pass, loader.order(pass))),
        };
        let first = (batch * loader.shard.count + loader.shard.index) * loader.batch_size;
        let positions = first.min(order.len())..(first + loader.batch_size).min(order.len());
        if positions.is_empty() {
            return None;
        }
        let items = match (loader.dataset.get_many(order[positions.clone()].to_vec()), &loader.segments) {
            (Ok(items), _) => items,
            (Err(error), None) => {
                // Whoever goes on after an error does so with the next batch.
                self.next += 1;
                return Some(Err(error));
            }
            (Err(error), Some(segments)) => {
                // The segment ends here, so that what was reached is saved.
                segments.fail(error.to_string());
                loader.goes_on(self.next);
                return None;
            }
        };
        self.next += 1;
        self.items += positions.len();
        if loader.segments.is_some() && loader.training {
            loader.next.store(self.next, Ordering::SeqCst);
        }
        let mut batch = loader.batcher.batch(items, &loader.device);
        let key = |position| SampleKey { seed: loader.seed, epoch: pass, position: position as u64 };
        batch.keys = Some(positions.map(key).collect());
        Some(Ok(batch))
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
