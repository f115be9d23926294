//! Which samples are in which batch, and how it is made: a pure function of its number.
use super::{DrawnNoise, FlowBatch};
use crate::random::{Purpose, SampleKey};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use rand::seq::SliceRandom;
use std::sync::Arc;

/// All batches of a run, numbered from 0 over all passes, of one shard of the devices.
pub(super) struct Batches<I, const D: usize, C> {
    pub dataset: Arc<dyn Dataset<I>>,
    pub batcher: Arc<dyn Batcher<I, FlowBatch<D, C>>>,
    pub device: Device,
    /// Samples of a batch.
    pub size: usize,
    pub seed: u64,
    pub training: bool,
    /// Batches of an optimizer step.
    pub per_step: usize,
    pub shard: Shard,
}

impl<I, const D: usize, C> Clone for Batches<I, D, C> {
    fn clone(&self) -> Self {
        Self { dataset: self.dataset.clone(), batcher: self.batcher.clone(), device: self.device.clone(), ..*self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shard {
    pub index: usize,
    pub count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shard that Burn's equal division of `total` items cuts out as `start..end`.
    pub fn of(start: usize, end: usize, total: usize) -> Self {
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

/// The order of the items in a pass, and which pass.
pub(super) type Order = Option<(u64, Vec<usize>)>;

impl<I, const D: usize, C> Batches<I, D, C> {
    /// Batches of a pass over the data.
    pub fn per_pass(&self) -> usize {
        let whole = self.size * self.shard.count;
        let items = self.dataset.len();
        if !self.training {
            return items.div_ceil(whole);
        }
        let steps = items / whole.saturating_mul(self.per_step);
        if steps > 0 { steps * self.per_step } else { (items / whole).max(1) }
    }

    /// The items behind some keys, in their order.
    pub fn items_of(&self, keys: &[SampleKey]) -> Vec<usize> {
        let mut order = (u64::MAX, Vec::new());
        let item = |key: &SampleKey| {
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

    /// Batch `number`, its noise drawn; `None` if this shard has no part in it.
    ///
    /// `order` is that of the pass of the last call.
    pub fn load(&self, number: u64, order: &mut Order) -> Option<Result<FlowBatch<D, C>, DatasetError>> {
        let per_pass = self.per_pass() as u64;
        let (pass, batch) = (number / per_pass, (number % per_pass) as usize);
        let (_, order) = match order.take() {
            Some(known) if known.0 == pass => order.insert(known),
            _ => order.insert((pass, self.order(pass))),
        };
        let first = (batch * self.shard.count + self.shard.index) * self.size;
        let positions = first.min(order.len())..(first + self.size).min(order.len());
        if positions.is_empty() {
            return None;
        }
        let items = match self.dataset.get_many(order[positions.clone()].to_vec()) {
            Ok(items) => items,
            Err(error) => return Some(Err(error)),
        };
        let mut batch = self.batcher.batch(items, &self.device);
        let key = |position| SampleKey { seed: self.seed, epoch: pass, position: position as u64 };
        let keys: Vec<_> = positions.map(key).collect();
        batch.noise = Some(DrawnNoise::of(&keys, &batch.data.dims()[1..], &batch.data.device()));
        batch.keys = Some(keys);
        Some(Ok(batch))
    }
}
