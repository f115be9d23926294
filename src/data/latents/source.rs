//! Latents on disk, read item by item.
use super::LatentsConfig;
use super::labels::{Entries, Entry, NULL_TEXT};
use super::mirrors::originals;
use super::pairs::paired;
use crate::data::set::{Source, Unit};
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
    /// For each entry what it is held out with, if there are mirrors.
    originals: Option<Vec<String>>,
    features: Vec<(PathBuf, Vec<String>)>,
    text: Option<(PathBuf, Vec<String>)>,
    posterior: bool,
    shape: [usize; 3],
    classes: usize,
    scaling: Scaling,
    feature_shapes: Vec<[usize; 2]>,
    null_text: Option<TextItem>,
    /// What the configuration says of the files.
    expects: String,
    max_bad_items: usize,
}

impl Latents {
    pub(super) fn open(config: &LatentsConfig, listed: Entries) -> Result<Self> {
        let Entries { entries, unlisted } = listed;
        let most = config.max_bad_items;
        // Before anything of a mistaken shape is allocated.
        first_good(&entries, most, |index| {
            latent(&config.folder.join(&entries[index].0), config.shape, config.posterior)
        })?;
        let beside = |folder: &PathBuf, what| Ok((folder.clone(), paired(folder, &entries, &unlisted, what)?));
        let features = config.features.iter().map(|folder| beside(folder, "features")).collect::<Result<Vec<_>>>()?;
        let text = config.text.as_ref().map(|folder| beside(folder, "embedded prompt")).transpose()?;
        let null_text = config.text.as_ref().map(|folder| TextItem::read(&folder.join(NULL_TEXT))).transpose()?;
        let LatentsConfig { shape, posterior, scale, shift, normalization, .. } = config;
        let expects = format!("{shape:?} {posterior} {scale} {shift} {normalization:?}");
        let mut source = Self {
            folder: config.folder.clone(),
            originals: config.mirrors_from.map(|from| originals(&entries, from)).transpose()?,
            entries,
            features,
            text,
            posterior: config.posterior,
            shape: config.shape,
            classes: config.classes,
            scaling: Scaling::of_latents(config)?,
            feature_shapes: Vec::new(),
            null_text,
            expects,
            max_bad_items: most,
        };
        source.feature_shapes =
            source.features.iter().map(|files| source.features_of_first(files)).collect::<Result<_>>()?;
        first_good(&source.entries, most, |index| source.read(index))?;
        Ok(source)
    }

    /// Every item has the features' shapes of the first.
    fn features_of_first(&self, (folder, names): &(PathBuf, Vec<String>)) -> Result<[usize; 2]> {
        first_good(names, self.max_bad_items, |index| {
            let file = folder.join(&names[index]);
            let shape = Array::read(&file)?.shape;
            let wrong =
                || Error::format(&file, format!("has shape {shape:?}: must be [tokens, width], each at least 1"));
            match shape[..] {
                [tokens, width] if tokens > 0 && width > 0 => Ok([tokens, width]),
                _ => Err(wrong()),
            }
        })
    }

    pub(super) fn split(self, held_out: HeldOut, seed: u64) -> Result<DataSplit> {
        let (names, labels): (Vec<&str>, Vec<i64>) = self.entries.iter().map(|(n, l)| (n.as_str(), *l)).unzip();
        let [stay, out] = match &self.originals {
            Some(originals) => hold_out::parts_together(originals, &labels, held_out, seed, &self.folder)?,
            None => hold_out::parts(&names, &labels, held_out, seed, &self.folder)?,
        };
        let (shape, classes, features) = (self.shape, self.classes, self.feature_shapes.clone());
        let (null_text, scaling) = (self.null_text.clone(), self.scaling.clone());
        let most = self.max_bad_items;
        let all = DataSet::new(Arc::new(self), shape, labels).with_bad_items(most);
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

/// What `read` makes of the first item, or of one of those after it while so many may be bad.
fn first_good<E, T>(all: &[E], most: usize, read: impl Fn(usize) -> Result<T>) -> Result<T> {
    let mut failed = Error::Invalid("there is no item".into());
    for index in 0..all.len().min(most.saturating_add(1)) {
        match read(index) {
            Ok(found) => return Ok(found),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Fails where a number became too large for f32.
fn check_scaled(file: &Path, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(Error::format(file, format!("its value {place} is too large for f32 once it is scaled"))),
        None => Ok(()),
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
        check_scaled(&file, &mean)?;
        if let Some(deviation) = &mut deviation {
            check_deviation(&file, deviation)?;
            self.scaling.deviation(deviation);
            check_scaled(&file, deviation)?;
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

    fn units(&self, place: usize) -> Vec<Unit> {
        let name = self.originals.as_ref().map_or_else(|| self.name(place), |originals| originals[place].clone());
        vec![Unit { name, stratum: None }]
    }

    /// The files are opened on all cores.
    fn read_many(&self, places: &[usize]) -> Vec<Result<Item>> {
        places.par_iter().map(|place| self.read(*place)).collect()
    }

    fn files(&self, place: usize) -> Vec<PathBuf> {
        let beside = self.features.iter().chain(&self.text).map(|(folder, names)| folder.join(&names[place]));
        std::iter::once(self.folder.join(&self.entries[place].0)).chain(beside).collect()
    }

    fn is_kept(&self, _: usize) -> bool {
        false
    }

    fn expects(&self) -> String {
        let text = self.null_text.as_ref().map(|text| (&text.context.shape, &text.pooled.shape));
        format!("{} {:?} {text:?}", self.expects, self.feature_shapes)
    }

    fn stored(&self, place: usize) -> Result<String> {
        let (dtype, shape) = Array::header(&self.folder.join(&self.entries[place].0))?;
        Ok(format!("{dtype} {shape:?}"))
    }
}
