//! Latents as a data set, read item by item.
use super::listing::{self, Entry, NULL_TEXT};
use super::{Array, LatentItem, LatentScaling, LatentsConfig, TextItem};
use crate::{Error, Result};
use burn::data::dataset::{Dataset, DatasetError};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Some of the latents of a folder; a clone shares the list of files.
#[derive(Debug, Clone)]
pub struct LatentSet {
    source: Arc<Source>,
    /// Places in the list of files.
    places: Arc<[usize]>,
}

/// A folder cut in two.
#[derive(Debug, Clone)]
pub struct LatentSplit {
    /// What the network is trained on.
    pub train: LatentSet,
    /// The last latents of the sorted list.
    pub held_out: LatentSet,
    /// `[C, H, W]` of one latent.
    pub shape: [usize; 3],
    /// Number of classes; 0 if the latents have no labels.
    pub classes: usize,
    /// `[tokens, width]` of the features of each encoder.
    pub features: Vec<[usize; 2]>,
    /// The empty prompt, where there are embedded prompts.
    pub null_text: Option<TextItem>,
    /// Between the numbers on disk and those of the network.
    pub scaling: LatentScaling,
}

/// Folders and their files.
#[derive(Debug)]
pub(super) struct Source {
    folder: PathBuf,
    entries: Vec<Entry>,
    features: Vec<(PathBuf, Vec<String>)>,
    text: Option<(PathBuf, Vec<String>)>,
    posterior: bool,
    shape: [usize; 3],
    classes: usize,
    scaling: LatentScaling,
    feature_shapes: Vec<[usize; 2]>,
    null_text: Option<TextItem>,
}

impl Source {
    pub(super) fn open(config: &LatentsConfig, entries: Vec<Entry>) -> Result<Self> {
        // Before anything of a mistaken shape is allocated.
        if let Some((name, _)) = entries.first() {
            latent(&config.folder.join(name), config.shape, config.posterior)?;
        }
        let beside = |folder: &PathBuf| Ok((folder.clone(), listing::paired(folder, &entries)?));
        let features = config.features.iter().map(beside).collect::<Result<Vec<_>>>()?;
        let text = config.text.as_ref().map(beside).transpose()?;
        let null_text = config.text.as_ref().map(|folder| TextItem::read(&folder.join(NULL_TEXT))).transpose()?;
        let mut source = Self {
            folder: config.folder.clone(),
            entries,
            features,
            text,
            posterior: config.posterior,
            shape: config.shape,
            classes: config.classes,
            scaling: LatentScaling::new(config)?,
            feature_shapes: Vec::new(),
            null_text,
        };
        source.feature_shapes = source.first_features()?;
        source.read(0)?;
        Ok(source)
    }

    /// Every item has the features' shapes of the first.
    fn first_features(&self) -> Result<Vec<[usize; 2]>> {
        let shape = |(folder, names): &(PathBuf, Vec<String>)| {
            let file = folder.join(&names[0]);
            let shape = Array::read(&file)?.shape;
            let wrong = || Error::format(&file, format!("has shape {shape:?}: must be [tokens, width]"));
            <[usize; 2]>::try_from(shape.as_slice()).map_err(|_| wrong())
        };
        self.features.iter().map(shape).collect()
    }

    pub(super) fn split(self, held_out: usize) -> Result<LatentSplit> {
        let source = Arc::new(self);
        let (first, end) = (source.entries.len() - held_out, source.entries.len());
        let set = |places: Range<usize>| LatentSet { source: source.clone(), places: places.collect() };
        Ok(LatentSplit {
            train: set(0..first),
            held_out: set(first..end),
            shape: source.shape,
            classes: source.classes,
            features: source.feature_shapes.clone(),
            null_text: source.null_text.clone(),
            scaling: source.scaling.clone(),
        })
    }

    fn read(&self, index: usize) -> Result<LatentItem> {
        let (name, label) = &self.entries[index];
        let file = self.folder.join(name);
        let [channels, height, width] = self.shape;
        let mut mean = latent(&file, self.shape, self.posterior)?.values;
        let mut deviation = self.posterior.then(|| mean.split_off(channels * height * width));
        self.scaling.mean(&mut mean);
        if let Some(deviation) = &mut deviation {
            self.scaling.deviation(deviation);
        }
        let features = self.features.iter().zip(&self.feature_shapes).map(|((folder, names), shape)| {
            let file = folder.join(&names[index]);
            Array::read(&file)?.of_shape(shape, &file)
        });
        Ok(LatentItem {
            mean,
            deviation,
            label: *label,
            features: features.collect::<Result<_>>()?,
            text: self.text(index)?,
        })
    }

    fn text(&self, index: usize) -> Result<Option<TextItem>> {
        let (Some((folder, names)), Some(null)) = (&self.text, &self.null_text) else { return Ok(None) };
        let file = folder.join(&names[index]);
        let TextItem { context, pooled } = TextItem::read(&file)?;
        // Batches are stacked without a mask, so every prompt is as long as the empty one.
        let context = context.of_shape(&null.context.shape, &file)?;
        let pooled = pooled.of_shape(&null.pooled.shape, &file)?;
        Ok(Some(TextItem { context, pooled }))
    }
}

/// The file of a latent, or of mean and deviation of one, as it is stored.
fn latent(file: &Path, [channels, height, width]: [usize; 3], posterior: bool) -> Result<Array> {
    let stored = [if posterior { 2 * channels } else { channels }, height, width];
    Array::read(file)?.of_shape(&stored, file)
}

impl LatentSet {
    /// The file of an item.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Dataset::len).
    pub fn file(&self, index: usize) -> PathBuf {
        self.source.folder.join(&self.source.entries[self.places[index]].0)
    }

    /// The labels of all items.
    pub fn labels(&self) -> Vec<i64> {
        self.places.iter().map(|place| self.source.entries[*place].1).collect()
    }

    /// Those of its items, by their places in it, all below [`len`](Dataset::len).
    pub(in crate::data) fn only(&self, places: &[usize]) -> Self {
        Self { source: self.source.clone(), places: places.iter().map(|place| self.places[*place]).collect() }
    }
}

impl Dataset<LatentItem> for LatentSet {
    fn get(&self, index: usize) -> Result<LatentItem, DatasetError> {
        let count = self.places.len();
        let beyond = || DatasetError::new(Error::Invalid(format!("latent {index}: must be below {count}")));
        self.source.read(*self.places.get(index).ok_or_else(beyond)?).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}
