//! Small data that ship inside the crate: real images, a table, an exact law; and pictures of images.
//!
//! A [`DataConfig`] is the `data` section of the JSON; [`DataConfig::load`] turns it into a training set and a
//! held-out set. No pixel of the photos and no image of the digits is in both; the same writer's digits can be.
pub mod digits;
pub mod emoji;
pub mod font;
pub mod grid;
mod hold_out;
pub mod item;
pub mod latents;
pub mod photos;
pub mod ring;
mod set_aside;
pub mod table;

pub use digits::DigitsConfig;
pub use emoji::EmojiConfig;
pub use grid::{Picture, grid, side_by_side};
pub use item::{ImageItem, ImageSet};
pub use latents::{LatentBatcher, LatentItem, LatentSet, LatentSplit, LatentsConfig};
pub use photos::PhotosConfig;
pub use ring::RingConfig;
pub use table::TableConfig;

use crate::{Error, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which data set to train on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DataConfig {
    /// Grey patches of the two shipped photos, without labels.
    Photos(PhotosConfig),
    /// The shipped handwritten digits, 8×8, with ten classes.
    Digits(DigitsConfig),
    /// The shipped emoji, 32×32 in colour, with nine classes.
    Emoji(EmojiConfig),
    /// Gaussians on a circle in the first two of D dimensions, as vectors `[D, 1, 1]`.
    Ring(RingConfig),
    /// The shipped table of tumours, as vectors `[30, 1, 1]`.
    Table(TableConfig),
}

/// A data set cut in two.
#[derive(Debug, Clone)]
pub struct DataSplit {
    /// What the network is trained on.
    pub train: ImageSet,
    /// What it is compared with; no pixel of a file is in both.
    pub held_out: ImageSet,
    /// `[C, H, W]` of one image.
    pub shape: [usize; 3],
    /// Number of classes; 0 if the images have no labels.
    pub classes: usize,
}

impl DataConfig {
    /// Decodes the shipped files and cuts them into images. The same configuration gives the same split.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition, [`Error::Format`] if a shipped file does not decode.
    pub fn load(&self) -> Result<DataSplit> {
        Error::if_any(self.problems("data"))?;
        match self {
            Self::Photos(config) => photos::load(config),
            Self::Digits(config) => digits::load(config),
            Self::Emoji(config) => emoji::load(config),
            Self::Ring(config) => ring::load(config),
            Self::Table(config) => table::load(config),
        }
    }

    /// Whether samples are vectors, held as images `[D, 1, 1]`, and not pictures.
    pub fn is_vectors(&self) -> bool {
        matches!(self, Self::Ring(_) | Self::Table(_))
    }

    /// `[C, H, W]` of one image and the number of classes, without loading anything.
    pub fn shape(&self) -> ([usize; 3], usize) {
        match self {
            Self::Photos(config) => ([1, config.patch, config.patch], 0),
            Self::Digits(_) => ([1, 8, 8], 10),
            Self::Emoji(_) => ([3, emoji::SIDE, emoji::SIDE], emoji::CLASSES),
            Self::Ring(config) => ([config.dimension, 1, 1], 0),
            Self::Table(_) => ([table::FEATURES, 1, 1], 0),
        }
    }

    /// How many images there are to train on, without loading anything.
    pub fn training_images(&self) -> usize {
        match self {
            Self::Photos(config) => config.train,
            Self::Digits(config) => digits::COUNT.saturating_sub(config.held_out),
            Self::Emoji(config) => emoji::COUNT - (config.held_out * emoji::COUNT as f64).round() as usize,
            Self::Ring(config) => config.train,
            Self::Table(config) => table::COUNT.saturating_sub(config.held_out),
        }
    }

    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        match self {
            Self::Photos(config) => config.problems(path),
            Self::Digits(config) => config.problems(path),
            Self::Emoji(config) => config.problems(path),
            Self::Ring(config) => config.problems(path),
            Self::Table(config) => config.problems(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_selects_the_data_set_and_defaults_fill_the_rest() {
        let data: DataConfig = serde_json::from_str(r#"{"kind": "digits", "scale": 0.5}"#).unwrap();
        assert_eq!(data, DataConfig::Digits(DigitsConfig { scale: 0.5, ..Default::default() }));
        let data: DataConfig = serde_json::from_str(r#"{"kind": "photos"}"#).unwrap();
        assert_eq!(data, DataConfig::Photos(PhotosConfig::default()));
    }

    #[test]
    fn misspelt_keys_are_refused() {
        let error = serde_json::from_str::<DataConfig>(r#"{"kind": "photos", "pacth": 16}"#).unwrap_err();
        assert!(error.to_string().contains("pacth"), "{error}");
    }

    #[test]
    fn every_problem_is_reported_with_its_path() {
        let data = DataConfig::Photos(PhotosConfig { patch: 0, train: 0, held_out: 0, seed: 0 });
        let paths: Vec<_> = data.problems("data").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["data.patch", "data.train", "data.held_out"]);
        assert!(matches!(data.load(), Err(Error::Config(p)) if p.len() == 3));
        let data = DataConfig::Digits(DigitsConfig { scale: f32::NAN, held_out: 1797, seed: 0 });
        let paths: Vec<_> = data.problems("d").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["d.scale", "d.held_out"]);
    }

    #[test]
    fn the_schema_of_each_kind_allows_its_tag() {
        let schema = serde_json::to_value(schemars::schema_for!(DataConfig)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap();
        let tag = |kind: &serde_json::Value| kind["properties"]["kind"]["const"].as_str().unwrap().to_owned();
        assert_eq!(kinds.iter().map(tag).collect::<Vec<_>>(), ["photos", "digits", "emoji", "ring", "table"]);
        for kind in kinds {
            assert!(kind.get("$ref").is_none(), "a closed schema elsewhere would refuse `kind`: {kind}");
        }
    }
}
