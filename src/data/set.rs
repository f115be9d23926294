//! A set of items that is cheap to clone, wherever they come from.
use super::Item;
use crate::random::SampleKey;
use crate::{Error, Result};
use burn::data::dataset::{Dataset, DatasetError};
use std::fmt::Debug;
use std::sync::Arc;

/// Where items come from: memory, files.
pub(super) trait Source: Debug + Send + Sync {
    /// The item at a place, all of which are below the number of labels of its set.
    fn read(&self, place: usize) -> Result<Item>;

    /// The items at several places, in their order.
    fn read_many(&self, places: &[usize]) -> Result<Vec<Item>> {
        places.iter().map(|place| self.read(*place)).collect()
    }

    /// What a person calls the item: its file, row or place.
    fn name(&self, place: usize) -> String;

    /// The kind of numbers that the item is stored as, for example `f32 [8, 32, 32]` or `jpeg`.
    fn stored(&self, _place: usize) -> Result<String> {
        Ok("in memory".into())
    }

    /// What the item shares with other items, by name: both are set aside together, or neither.
    fn units(&self, place: usize) -> Vec<Unit> {
        vec![Unit { name: self.name(place), stratum: None }]
    }

    /// All values, one item after the other, where they are in memory.
    fn values(&self) -> Option<&[f32]> {
        None
    }

    /// The items at `places` alone, where a source of their own is better than a list of places.
    fn only(&self, _places: &[usize]) -> Option<Arc<dyn Source>> {
        None
    }
}

/// Something that may be in several items.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    /// Its name, whose hash decides.
    pub name: String,
    /// Of each stratum a share is set aside; the label of the item if `None`.
    pub stratum: Option<i64>,
}

/// Items of one shape, in memory or read when asked for. A clone shares them.
#[derive(Debug, Clone)]
pub struct DataSet {
    source: Arc<dyn Source>,
    shape: [usize; 3],
    labels: Arc<[i64]>,
    /// Which of the items of the source; `None` for all in order.
    places: Option<Arc<[usize]>>,
    mirror: bool,
}

impl DataSet {
    /// All items of a source, one per label.
    pub(super) fn new(source: Arc<dyn Source>, shape: [usize; 3], labels: Vec<i64>) -> Self {
        Self { source, shape, labels: labels.into(), places: None, mirror: false }
    }

    /// The same items, whose left and right training may exchange.
    pub(super) fn with_mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    /// `[C, H, W]` of one item.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The label of every item; zeros in data without classes.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The file, row or place of an item, for messages.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn name(&self, index: usize) -> String {
        self.source.name(self.place(index))
    }

    /// All values, `[len, C, H, W]` in row-major order, where they are in memory.
    pub fn in_memory(&self) -> Option<&[f32]> {
        self.source.values()
    }

    /// The values of the items at `indices`, `[indices, C, H, W]`; drawn where they are posteriors, from the key
    /// (seed 0, epoch `u64::MAX`, position in `indices`). Never mirrored.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an index that is not below [`len`](Self::len); what reading an item reports.
    pub fn values(&self, indices: &[usize]) -> Result<Vec<f32>> {
        if let Some(values) = self.in_memory() {
            let size: usize = self.shape.iter().product();
            let one = |index: &usize| Ok(&values[self.checked(*index)? * size..][..size]);
            return Ok(indices.iter().map(one).collect::<Result<Vec<_>>>()?.concat());
        }
        let items = self.read(indices)?;
        let key = |position| SampleKey { seed: 0, epoch: u64::MAX, position };
        let keys: Vec<SampleKey> = (0..indices.len() as u64).map(key).collect();
        Ok(super::batcher::drawn(items, self.shape, &keys))
    }

    /// Those of its items, by their indices in it, all below [`len`](Self::len).
    pub(super) fn only(&self, indices: &[usize]) -> Self {
        let labels = indices.iter().map(|index| self.labels[*index]).collect();
        let places: Vec<usize> = indices.iter().map(|index| self.place(*index)).collect();
        match self.source.only(&places) {
            Some(source) => Self { source, labels, places: None, ..*self },
            None => Self { source: self.source.clone(), labels, places: Some(places.into()), ..*self },
        }
    }

    /// What the item is stored as.
    pub(super) fn stored(&self, index: usize) -> String {
        self.source.stored(self.place(index)).unwrap_or_default()
    }

    /// What the item shares with others.
    pub(super) fn units(&self, index: usize) -> Vec<Unit> {
        self.source.units(self.place(index))
    }

    fn place(&self, index: usize) -> usize {
        self.places.as_ref().map_or(index, |places| places[index])
    }

    fn checked(&self, index: usize) -> Result<usize> {
        let count = self.len();
        let beyond = || Error::Invalid(format!("item {index}: must be below {count}"));
        (index < count).then(|| self.place(index)).ok_or_else(beyond)
    }

    fn read(&self, indices: &[usize]) -> Result<Vec<Item>> {
        let places = indices.iter().map(|index| self.checked(*index)).collect::<Result<Vec<_>>>()?;
        let mut items = self.source.read_many(&places)?;
        items.iter_mut().for_each(|item| item.mirror = self.mirror);
        Ok(items)
    }
}

impl Dataset<Item> for DataSet {
    fn get(&self, index: usize) -> Result<Item, DatasetError> {
        let mut items = self.read(&[index]).map_err(DatasetError::new)?;
        Ok(items.swap_remove(0))
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Item>, DatasetError> {
        self.read(&indices).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}
