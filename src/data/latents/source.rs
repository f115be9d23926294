//! Latents on disk, read item by item.
use super::LatentsConfig;
use super::labels::{Entry, NULL_TEXT};
use super::pairs::paired;
use crate::data::set::Source;
use crate::data::{Array, DataSet, DataSplit, HeldOut, Item, Scaling, TextItem, hold_out};
use crate::{Error, Result};
use rayon::prelude::*;
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
        let beside = |folder: &PathBuf, what| Ok((folder.clone(), paired(folder, &entries, what)?));
        let features = config.features.iter().map(|folder| beside(folder, "features")).collect::<Result<Vec<_>>>()?;
        let text = config.text.as_ref().map(|folder| beside(folder, "embedded prompt")).transpose()?;
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

    pub(super) fn split(self, held_out: HeldOut, seed: u64, path: &str) -> Result<DataSplit> {
        let (names, labels): (Vec<&str>, Vec<i64>) = self.entries.iter().map(|(n, l)| (n.as_str(), *l)).unzip();
        let [stay, out] = hold_out::parts(&names, &labels, held_out, seed, path)?;
        let (shape, classes, features) = (self.shape, self.classes, self.feature_shapes.clone());
        let (null_text, scaling) = (self.null_text.clone(), self.scaling.clone());
        let all = DataSet::new(Arc::new(self), shape, labels);
        let sets = DataSplit::new(all.only(&stay), all.only(&out), classes);
        Ok(DataSplit { features, null_text, scaling, ..sets })
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

/// Fails for what is no standard deviation, as the logarithm of a variance is.
fn check_deviation(file: &Path, values: &[f32]) -> Result<()> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    if least >= 0.0 {
        return Ok(());
    }
    let message = format!(
        "its standard deviations (the second half of the channels) go down to {least}: they must be at least 0; if these \
         are log-variances v, store exp(v / 2)"
    );
    Err(Error::format(file, message))
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
            check_deviation(&file, deviation)?;
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

    /// The files are opened on all cores; the first problem in order is the one reported.
    fn read_many(&self, places: &[usize]) -> Result<Vec<Item>> {
        let items: Vec<Result<Item>> = places.par_iter().map(|place| self.read(*place)).collect();
        items.into_iter().collect()
    }

    fn stored(&self, place: usize) -> Result<String> {
        let (dtype, shape) = Array::header(&self.folder.join(&self.entries[place].0))?;
        Ok(format!("{dtype} {shape:?}"))
    }
}
