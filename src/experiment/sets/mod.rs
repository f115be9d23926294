//! `evaluate A B`: every distance between two sets of samples, read from files.
//!
//! [`SampleSet::read`] takes what programs write samples to; [`measure_sets`] compares two such sets.
//!
//! | Path | Holds |
//! |---|---|
//! | a folder | PNG, JPEG or WebP pictures of one size, at any depth |
//! | `.npz` | `arr_0` (as ADM and its followers write it) or the only array |
//! | `.npy` | one array |
//! | `.safetensors` | `pixels`, else `latents`, else the only tensor |
//!
//! An array is `[samples, dimensions]` floats, `[samples, height, width, channels]` bytes or
//! `[samples, channels, height, width]` floats.
mod arrays;
pub(super) mod folder;
mod measure;
mod options;
mod report;
mod set;

pub use measure::measure_sets;
pub use options::MeasureOptions;
pub use report::{Better, MeasuredSet, SetDistance, SetsReport};
pub use set::{SampleForm, SampleSet, ValueConvention};
