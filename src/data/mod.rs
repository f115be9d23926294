//! Data to train on and to compare with: everybody's own pictures, tables and latents, and small sets that ship.
//!
//! A [`DataConfig`] is the `data` section of the JSON; [`DataConfig::open`] turns it into a training set and a
//! held-out set. All kinds of data give the same [`Item`]s in the same [`DataSet`]s, and [`ItemBatcher`] makes batches.
mod array;
mod bad_items;
mod batcher;
pub(crate) mod claimed;
mod classes;
mod config;
mod contents;
pub mod encoded;
pub(crate) mod file_state;
mod fingerprint;
mod hold_out;
pub(crate) mod images;
mod inspect;
mod item;
mod latents;
pub(crate) mod listing;
mod memory;
mod mistaken;
pub(crate) mod npy;
mod pixel_rule;
mod scaling;
mod set;
mod set_aside;
mod split;
pub(crate) mod text;
pub mod to_encode;
mod vectors;
mod verdict;
mod verify;

#[cfg(feature = "shipped")]
mod digits;
#[cfg(feature = "shipped")]
mod emoji;
#[cfg(feature = "shipped")]
mod photos;
#[cfg(feature = "shipped")]
mod ring;
#[cfg(feature = "shipped")]
mod table;

pub use array::Array;
pub use batcher::{ItemBatcher, stack_data, stack_features, stack_labels, stack_texts};
pub use config::{DataConfig, Declared, Form};
#[cfg(feature = "shipped")]
pub use digits::DigitsConfig;
#[cfg(feature = "shipped")]
pub use emoji::EmojiConfig;
pub use fingerprint::DataFingerprint;
pub use hold_out::HeldOut;
pub use images::{Decoded, ImageLabels, ImagesConfig, adm_crop};
pub use inspect::{ClassCount, Inspection, ItemProblem};
pub use item::{Item, TextItem};
pub use latents::LatentsConfig;
#[cfg(feature = "shipped")]
pub use photos::PhotosConfig;
pub use pixel_rule::PixelRule;
#[cfg(feature = "shipped")]
pub use ring::RingConfig;
pub use scaling::Scaling;
pub use set::DataSet;
pub(crate) use set::evenly;
pub use split::DataSplit;
#[cfg(feature = "shipped")]
pub use table::TableConfig;
pub use vectors::VectorsConfig;
