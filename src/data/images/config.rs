//! The JSON of a folder of pictures.
use super::Decoded;
use crate::data::latents::is_zero;
use crate::data::{DataSplit, HeldOut};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A folder of PNG, JPEG and WebP files. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImagesConfig {
    /// Holds the pictures, at any depth.
    pub folder: PathBuf,
    /// Side of the square that each picture is cropped and resized to, in pixels, in 4..=1024.
    #[cfg_attr(feature = "schema", schemars(range(min = 4, max = 1024)))]
    pub size: usize,
    /// 3 for colour, 1 for grey.
    #[serde(default = "three")]
    pub channels: usize,
    /// Where the classes are.
    #[serde(default)]
    pub labels: ImageLabels,
    /// Whether training exchanges left and right of half of the pictures, drawn anew each epoch.
    #[serde(default)]
    pub flip: bool,
    /// What is held out: a share of each class, or a number of pictures in all. One of each class at least.
    #[serde(default = "tenth")]
    pub held_out: HeldOut,
    /// Seed of the split.
    #[serde(default)]
    pub seed: u64,
    /// At most so many pictures, chosen as the held-out ones are; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 2)))]
    pub limit: Option<usize>,
    /// Where decoded pictures are kept, so that they are decoded once; `runs/cache/images` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// So many pictures may be bad: each is named, and the next good one takes its place. More end the training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_bad_items: usize,
}

/// Where the classes of pictures are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImageLabels {
    /// There are none.
    #[default]
    None,
    /// The first folder below the folder is the class; in the order of their names.
    Folders,
    /// A CSV file of names and classes, or a JSON object of the same.
    File(PathBuf),
}

impl ImageLabels {
    /// Whether there are no classes.
    pub(in crate::data) fn are_none(&self) -> bool {
        *self == Self::None
    }
}

fn three() -> usize {
    3
}

fn tenth() -> HeldOut {
    HeldOut::Share(0.1)
}

impl ImagesConfig {
    /// The pictures of `folder`, `size` pixels wide and high, with defaults for the rest.
    pub fn new(folder: impl Into<PathBuf>, size: usize) -> Self {
        Self {
            folder: folder.into(),
            size,
            channels: three(),
            labels: ImageLabels::None,
            flip: false,
            held_out: tenth(),
            seed: 0,
            limit: None,
            cache: None,
            max_bad_items: 0,
        }
    }

    /// Every violated condition that shows without the files, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        Problem::unless(&mut problems, named(&self.folder), path, "folder", "\"\"", "must name a folder");
        let (size, channels) = (self.size, self.channels);
        Problem::unless(&mut problems, (4..=1024).contains(&size), path, "size", size, "must be in 4..=1024");
        Problem::unless(&mut problems, channels == 1 || channels == 3, path, "channels", channels, "must be 1 or 3");
        if let ImageLabels::File(file) = &self.labels {
            Problem::unless(&mut problems, named(file), path, "labels.file", "\"\"", "must name a file");
        }
        problems.extend(self.held_out.problems(path));
        if let Some(limit) = self.limit {
            Problem::unless(&mut problems, limit >= 2, path, "limit", limit, "must be at least 2");
        }
        let cache = self.cache.as_ref().is_none_or(named);
        Problem::unless(&mut problems, cache, path, "cache", "\"\"", "must name a folder");
        problems
    }

    /// Lists the pictures, and decodes them unless an earlier run did; `said` hears how far it is.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition, [`Error::Io`] or [`Error::Format`] naming a file or folder.
    pub fn open(&self, said: &mut dyn FnMut(Decoded)) -> Result<DataSplit> {
        Error::if_any(self.problems("data"))?;
        super::source::open(self, said)
    }
}
