//! Latents on disk, read item by item.
use super::LatentsConfig;
use super::listing::{self, Entry, NULL_TEXT};
use crate::data::set::Source;
use crate::data::{Array, DataSet, DataSplit, Item, Scaling, TextItem};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders and their files.
#[derive(Debug)]
pub(super) struct Latents {
    folder: PathBuf,
    entries: Vec<Entry>,
    features: Vec<(PathBuf, Vec<String>)>,
    text: Option<(PathBuf, Vec<String>)>,
    posterior: bool,
    shape: [usize; 3],
    classes: usize,
    scaling: Scaling,
    feature_shapes: Vec<[usize; 2]>,
    null_text: Option<TextItem>,
}

impl Latents {
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
            scaling: Scaling::of_latents(config)?,
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

    pub(super) fn split(self, held_out: usize) -> Result<DataSplit> {
        let (shape, classes, count) = (self.shape, self.classes, self.entries.len());
        let (features, null_text) = (self.feature_shapes.clone(), self.null_text.clone());
        let scaling = self.scaling.clone();
        let labels = self.entries.iter().map(|(_, label)| *label).collect();
        let all = DataSet::new(Arc::new(self), shape, labels);
        let set = |places: std::ops::Range<usize>| all.only(&places.collect::<Vec<_>>());
        let (train, held_out) = (set(0..count - held_out), set(count - held_out..count));
        Ok(DataSplit { train, held_out, shape, classes, features, null_text, scaling })
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

impl Source for Latents {
    fn read(&self, index: usize) -> Result<Item> {
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
        Ok(Item {
            data: mean,
            deviation,
            label: *label,
            features: features.collect::<Result<_>>()?,
            text: self.text(index)?,
            mirror: false,
        })
    }

    fn name(&self, place: usize) -> String {
        self.entries[place].0.clone()
    }
}
