//! The `data` section of a configuration.
use super::{DataSplit, Decoded, ImagesConfig, Inspection, LatentsConfig, VectorsConfig};
#[cfg(feature = "shipped")]
use super::{DigitsConfig, EmojiConfig, PhotosConfig, RingConfig, TableConfig};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};

/// Raised with every change of the values of a shipped set.
#[cfg(feature = "shipped")]
const SHIPPED_VERSION: u32 = 1;

/// Which data to train on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DataConfig {
    /// Grey patches of the two shipped photos, without labels.
    #[cfg(feature = "shipped")]
    Photos(PhotosConfig),
    /// The shipped handwritten digits, 8×8, with ten classes.
    #[cfg(feature = "shipped")]
    Digits(DigitsConfig),
    /// The shipped emoji, 32×32 in colour, with nine classes.
    #[cfg(feature = "shipped")]
    Emoji(EmojiConfig),
    /// Gaussians on a circle in the first two of D dimensions, as vectors `[D, 1, 1]`.
    #[cfg(feature = "shipped")]
    Ring(RingConfig),
    /// The shipped table of tumours, as vectors `[30, 1, 1]`.
    #[cfg(feature = "shipped")]
    Table(TableConfig),
    /// A folder of pictures.
    Images(ImagesConfig),
    /// A table of numbers, one vector `[D, 1, 1]` a row.
    Vectors(VectorsConfig),
    /// A folder of latents, and what belongs to them.
    Latents(LatentsConfig),
}

/// What samples are, and so what they are compared by and drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Pictures `[C, H, W]`.
    Pictures,
    /// Vectors `[D, 1, 1]`.
    Vectors,
    /// What an encoder made of pictures.
    Latents,
}

/// What is known of data before anything is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// `[C, H, W]` of one item.
    pub shape: Option<[usize; 3]>,
    /// Number of classes; 0 without labels.
    pub classes: Option<usize>,
    /// Number of items to train on.
    pub training: Option<usize>,
}

impl DataConfig {
    /// Opens the data: what is small is read, of large folders only the list. The same configuration and files give
    /// the same split.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition; [`Error::Io`] or [`Error::Format`] naming a file that is
    /// absent or malformed.
    pub fn open(&self) -> Result<DataSplit> {
        self.open_with(&mut |_| ())
    }

    /// As [`open`](Self::open); `said` hears how far pictures are decoded, where that is done.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(&self, said: &mut dyn FnMut(Decoded)) -> Result<DataSplit> {
        Error::if_any(self.problems("data"))?;
        let split = match self {
            #[cfg(feature = "shipped")]
            Self::Photos(config) => super::photos::load(config),
            #[cfg(feature = "shipped")]
            Self::Digits(config) => super::digits::load(config),
            #[cfg(feature = "shipped")]
            Self::Emoji(config) => super::emoji::load(config),
            #[cfg(feature = "shipped")]
            Self::Ring(config) => super::ring::load(config),
            #[cfg(feature = "shipped")]
            Self::Table(config) => super::table::load(config),
            Self::Images(config) => config.open(said),
            Self::Vectors(config) => config.open(),
            Self::Latents(config) => config.open(),
        };
        Ok(DataSplit { shipped: self.shipped(), ..split? })
    }

    /// Of shipped data their name, their version and what is asked of them.
    fn shipped(&self) -> Option<String> {
        match self {
            Self::Images(_) | Self::Vectors(_) | Self::Latents(_) => None,
            #[cfg(feature = "shipped")]
            _ => serde_json::to_string(self).ok().map(|asked| format!("{SHIPPED_VERSION} {asked}")),
        }
    }

    /// The same data, whatever number of bad items is borne: what results are a function of.
    pub fn without_tolerance(&self) -> Self {
        let mut data = self.clone();
        match &mut data {
            Self::Images(config) => config.max_bad_items = 0,
            Self::Latents(config) => config.max_bad_items = 0,
            _ => {}
        }
        data
    }

    /// Opens the data and reads every item: what a person should see before a long training.
    ///
    /// # Errors
    /// As [`open`](Self::open); problems of single items are in the result.
    pub fn inspect(&self) -> Result<Inspection> {
        self.open()?.inspect()
    }

    /// What samples of these data are.
    pub fn form(&self) -> Form {
        match self {
            #[cfg(feature = "shipped")]
            Self::Photos(_) | Self::Digits(_) | Self::Emoji(_) => Form::Pictures,
            #[cfg(feature = "shipped")]
            Self::Ring(_) | Self::Table(_) => Form::Vectors,
            Self::Images(_) => Form::Pictures,
            Self::Vectors(_) => Form::Vectors,
            Self::Latents(_) => Form::Latents,
        }
    }

    /// The ring of Gaussians, whose velocity field is known exactly.
    #[cfg(feature = "shipped")]
    pub fn ring(&self) -> Option<&RingConfig> {
        if let Self::Ring(config) = self { Some(config) } else { None }
    }

    /// The folder of latents, with what belongs to them.
    pub fn latents(&self) -> Option<&LatentsConfig> {
        if let Self::Latents(config) = self { Some(config) } else { None }
    }

    /// What is known without opening anything.
    pub fn declared(&self) -> Declared {
        let of = |shape, classes, training| Declared { shape: Some(shape), classes: Some(classes), training };
        match self {
            #[cfg(feature = "shipped")]
            Self::Photos(config) => of([1, config.patch, config.patch], 0, Some(config.train)),
            #[cfg(feature = "shipped")]
            Self::Digits(config) => of([1, 8, 8], 10, Some(super::digits::COUNT.saturating_sub(config.held_out))),
            #[cfg(feature = "shipped")]
            Self::Emoji(config) => {
                let (count, side) = (super::emoji::COUNT, super::emoji::SIDE);
                let training = count - (config.held_out * count as f64).round() as usize;
                of([3, side, side], super::emoji::CLASSES, Some(training))
            }
            #[cfg(feature = "shipped")]
            Self::Ring(config) => of([config.dimension, 1, 1], 0, Some(config.train)),
            #[cfg(feature = "shipped")]
            Self::Table(config) => {
                let (count, features) = (super::table::COUNT, super::table::FEATURES);
                of([features, 1, 1], 0, Some(count.saturating_sub(config.held_out)))
            }
            Self::Images(config) => Declared {
                shape: Some([config.channels, config.size, config.size]),
                classes: config.labels.are_none().then_some(0),
                training: None,
            },
            Self::Vectors(config) => Declared {
                shape: config.columns.as_ref().map(|columns| [columns.len(), 1, 1]),
                classes: config.label.is_none().then_some(0),
                training: None,
            },
            Self::Latents(config) => of(config.shape, config.classes, None),
        }
    }

    /// Numbers that opening the data draws into memory, where their count is a choice.
    #[cfg(feature = "experiment")]
    pub(crate) fn drawn(&self) -> Option<usize> {
        let drawn = |items: usize, held_out: usize, each: usize| items.saturating_add(held_out).saturating_mul(each);
        match self {
            Self::Photos(config) => {
                Some(drawn(config.train, config.held_out, config.patch.saturating_mul(config.patch)))
            }
            Self::Ring(config) => Some(drawn(config.train, config.held_out, config.dimension)),
            _ => None,
        }
    }

    /// Every violated condition that shows without opening anything, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        match self {
            #[cfg(feature = "shipped")]
            Self::Photos(config) => config.problems(path),
            #[cfg(feature = "shipped")]
            Self::Digits(config) => config.problems(path),
            #[cfg(feature = "shipped")]
            Self::Emoji(config) => config.problems(path),
            #[cfg(feature = "shipped")]
            Self::Ring(config) => config.problems(path),
            #[cfg(feature = "shipped")]
            Self::Table(config) => config.problems(path),
            Self::Images(config) => config.problems(path),
            Self::Vectors(config) => config.problems(path),
            Self::Latents(config) => config.problems(path),
        }
    }
}

#[cfg(all(test, feature = "shipped"))]
mod tests {
    use super::*;
    use crate::data::DataSet;
    use sha2::{Digest, Sha256};

    /// The first 8 bytes of the hash of all values and labels.
    fn hash(set: &DataSet) -> String {
        let mut hash = Sha256::new();
        set.in_memory().unwrap().iter().for_each(|v| hash.update(v.to_le_bytes()));
        set.labels().iter().for_each(|v| hash.update(v.to_le_bytes()));
        crate::digest::hex(hash.finalize(), 8)
    }

    #[test]
    fn the_values_labels_and_order_of_shipped_sets_are_fixed() {
        for (kind, train, held_out) in [
            ("photos", "8715a4dd948b71a7", "cb03eb23d5c206b9"),
            ("digits", "bdfdbc66fe346806", "501f4239c635af0d"),
            ("emoji", "924a79f93dc9e353", "2a3aaba6d285359b"),
            ("ring", "28b66cd8896fb150", "c3423cce88507a1c"),
            ("table", "93446640e051a7e9", "f534eca24a4fc5a2"),
        ] {
            let config: DataConfig = serde_json::from_value(serde_json::json!({"kind": kind})).unwrap();
            let split = config.open().unwrap();
            assert_eq!((kind, hash(&split.train).as_str(), hash(&split.held_out).as_str()), (kind, train, held_out));
            let Declared { shape, classes, training } = config.declared();
            assert_eq!((shape, classes), (Some(split.shape), Some(split.classes)));
            assert_eq!((kind, training), (kind, Some(split.train.len())));
        }
    }

    #[test]
    fn kind_selects_the_data_and_defaults_fill_the_rest() {
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
        assert!(matches!(data.open(), Err(Error::Config(p)) if p.len() == 3));
        let data = DataConfig::Digits(DigitsConfig { scale: f32::NAN, held_out: 1797, seed: 0 });
        let paths: Vec<_> = data.problems("d").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["d.scale", "d.held_out"]);
    }

    #[cfg(feature = "schema")]
    #[test]
    fn the_schema_of_each_kind_allows_its_tag() {
        let schema = serde_json::to_value(schemars::schema_for!(DataConfig)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap();
        let tag = |kind: &serde_json::Value| kind["properties"]["kind"]["const"].as_str().unwrap().to_owned();
        let all = ["photos", "digits", "emoji", "ring", "table", "images", "vectors", "latents"];
        assert_eq!(kinds.iter().map(tag).collect::<Vec<_>>(), all);
        for kind in kinds {
            assert!(kind.get("$ref").is_none(), "a closed schema elsewhere would refuse `kind`: {kind}");
        }
    }
}
