//! A set of items that is cheap to clone, wherever they come from.
use super::Item;
use super::bad_items::BadItems;
use crate::random::SampleKey;
use crate::{Error, Result};
use burn::data::dataset::{Dataset, DatasetError};
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

/// Where items come from: memory, files.
pub(super) trait Source: Debug + Send + Sync {
    /// The item at a place, all of which are below the number of labels of its set.
    fn read(&self, place: usize) -> Result<Item>;

    /// The items at several places, in their order, each by itself.
    fn read_many(&self, places: &[usize]) -> Vec<Result<Item>> {
        places.iter().map(|place| self.read(*place)).collect()
    }

    /// What a person calls the item: its file, row or place.
    fn name(&self, place: usize) -> String;

    /// The kind of numbers that the item is stored as, for example `f32 [8, 32, 32]` or `jpeg`.
    fn stored(&self, _place: usize) -> Result<String> {
        Ok("in memory".into())
    }

    /// The files that the item is made of, that of its data first; none where there is no file for each.
    fn files(&self, _place: usize) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether the item was read when the data were opened, and kept.
    fn is_kept(&self, _place: usize) -> bool {
        true
    }

    /// What decides whether files are usable, beside their contents.
    fn expects(&self) -> String {
        String::new()
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

/// At most `most` of `all` places, evenly chosen.
pub(crate) fn evenly(all: usize, most: usize) -> Vec<usize> {
    let count = all.min(most);
    (0..count).map(|i| i * all / count).collect()
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
    /// Of the source, and so of every set that is made of it.
    bad: Arc<BadItems>,
}

impl DataSet {
    /// All items of a source, one per label.
    pub(super) fn new(source: Arc<dyn Source>, shape: [usize; 3], labels: Vec<i64>) -> Self {
        Self { source, shape, labels: labels.into(), places: None, mirror: false, bad: Arc::default() }
    }

    /// The same items, of which at most so many may be bad: the next good one of the set takes the place of each.
    pub(super) fn with_bad_items(mut self, most: usize) -> Self {
        self.bad = Arc::new(BadItems::at_most(most));
        self
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
            Some(source) => Self { source, labels, places: None, ..self.clone() },
            None => Self { labels, places: Some(places.into()), ..self.clone() },
        }
    }

    /// Each item by itself as it is stored, whether it is known to be bad or not.
    pub(super) fn each(&self, indices: &[usize]) -> Vec<Result<Item>> {
        let places: Vec<usize> = indices.iter().map(|index| self.place(*index)).collect();
        self.source.read_many(&places)
    }

    /// The files that the item is made of; none where there is no file for each.
    pub(super) fn files(&self, index: usize) -> Vec<PathBuf> {
        self.source.files(self.place(index))
    }

    /// Whether the item was read when the data were opened, and kept.
    pub(super) fn is_kept(&self, index: usize) -> bool {
        self.source.is_kept(self.place(index))
    }

    /// What decides whether its files are usable, beside their contents.
    pub(super) fn expects(&self) -> String {
        self.source.expects()
    }

    /// The items that are known to be bad.
    pub(super) fn bad(&self) -> &BadItems {
        &self.bad
    }

    /// Notes that an item cannot be used.
    ///
    /// # Errors
    /// `error` if one more is too many.
    pub(super) fn note_bad(&self, index: usize, error: Error) -> Result<()> {
        self.bad.note(self.place(index), error)
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
        let items = indices.iter().zip(self.source.read_many(&places));
        let good = |(index, item): (&usize, Result<Item>)| item.or_else(|error| self.instead_of(*index, error));
        let with_mirror = |item: Result<Item>| item.map(|item| Item { mirror: self.mirror, ..item });
        items.map(good).map(with_mirror).collect()
    }

    /// The next good item of the set, from the first again after the last, if so many may be bad.
    fn instead_of(&self, index: usize, error: Error) -> Result<Item> {
        self.note_bad(index, error)?;
        for next in (index + 1..self.len()).chain(0..index) {
            match self.source.read(self.place(next)) {
                Ok(item) => return Ok(item),
                Err(error) => self.note_bad(next, error)?,
            }
        }
        Err(Error::Invalid(format!("all {} items of the set are bad", self.len())))
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
