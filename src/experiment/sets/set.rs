//! A set of samples: pictures or vectors, read from a folder or a file.
use super::arrays::{self, Array, Numbers};
use super::folder::Pictures;
use crate::evaluate::RandomConvolutions;
use crate::{Error, Result};
use serde::Serialize;
use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What one sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SampleForm {
    /// A picture, or a latent of the form of one, at least as large as a filter of [`RandomConvolutions`].
    Pictures {
        /// 1 is grey, 3 is colour.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Pixels of a row.
        width: usize,
    },
    /// A vector, or anything too small for filters, as one.
    Vectors {
        /// Entries.
        dimensions: usize,
    },
}

impl Display for SampleForm {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pictures { channels, height, width } => {
                write!(f, "pictures of {height}×{width} pixels and {channels} channel(s)")
            }
            Self::Vectors { dimensions } => write!(f, "vectors of {dimensions} dimensions"),
        }
    }
}

/// How stored numbers become the values that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueConvention {
    /// `x/127.5 − 1` of bytes.
    Bytes,
    /// `2x − 1`: all numbers of these pictures of 1 or 3 channels lie in [0, 1].
    UnitInterval,
    /// `x`.
    AsStored,
}

impl Display for ValueConvention {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes, taken as x/127.5 − 1",
            Self::UnitInterval => "floats found to lie in [0, 1], taken as 2x − 1",
            Self::AsStored => "floats, taken as they are",
        })
    }
}

/// Samples of one form. Pictures of a folder stay there until they are asked for, arrays are in memory as stored.
#[derive(Debug, Clone)]
pub struct SampleSet {
    path: PathBuf,
    count: usize,
    /// `[channels, height, width]`; of vectors `[dimensions, 1, 1]`.
    shape: [usize; 3],
    convention: ValueConvention,
    stored: Stored,
}

#[derive(Debug, Clone)]
enum Stored {
    Folder(Pictures),
    /// `[samples, height, width, channels]`.
    Bytes(Vec<u8>),
    /// `[samples, channels, height, width]`, converted already.
    Floats(Vec<f32>),
}

impl SampleSet {
    /// The samples at `path`: see the [module](super) for what it may be.
    ///
    /// Of a folder only the headers are read. Floats of 1 or 3 channels that all lie in [0, 1] are taken to be pictures in
    /// [0, 1], unless the tensor is called `latents`.
    /// # Errors
    /// [`Error::Io`] if it cannot be opened; [`Error::Format`], saying what would be right, for a file or picture of
    /// another kind, pictures of two sizes, no samples, an array of another shape, or numbers that are not finite.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if std::fs::metadata(path).map_err(|e| Error::io(path, e))?.is_dir() {
            let pictures = Pictures::list(path)?;
            let (count, shape) = (pictures.files.len(), pictures.shape);
            let stored = Stored::Folder(pictures);
            return Ok(Self { path: path.into(), count, shape, convention: ValueConvention::Bytes, stored });
        }
        let array = arrays::read(path)?;
        Self::of(path, &array.shape.clone(), array).map_err(|message| Error::format(path, message))
    }

    fn of(path: &Path, dims: &[usize], array: Array) -> Result<Self, String> {
        let layout = "[samples, height, width, channels]";
        let (count, shape) = match (dims, &array.numbers) {
            ([n, height, width, channels], Numbers::Bytes(_)) if *channels <= 4 => (*n, [*channels, *height, *width]),
            (_, Numbers::Bytes(_)) => return Err(format!("holds bytes of shape {dims:?}: must be {layout}")),
            ([_, a, _, b], Numbers::Floats(_)) if *a > 4 && *b <= 4 && *b > 1 => {
                let must = "must be [samples, channels, height, width]; or bytes";
                return Err(format!("holds floats of shape {dims:?}: {must} of {layout}"));
            }
            ([n, channels, height, width], Numbers::Floats(_)) => (*n, [*channels, *height, *width]),
            ([n, dimensions], Numbers::Floats(_)) => (*n, [*dimensions, 1, 1]),
            _ => {
                let must = "must be [samples, dimensions] or [samples, channels, height, width]";
                return Err(format!("holds floats of shape {dims:?}: {must}"));
            }
        };
        if count == 0 || shape.contains(&0) {
            return Err(format!("has shape {dims:?}: must hold samples"));
        }
        let mut set = Self {
            path: path.into(),
            count,
            shape,
            convention: ValueConvention::Bytes,
            stored: Stored::Bytes(Vec::new()),
        };
        set.stored = match array.numbers {
            Numbers::Bytes(bytes) => Stored::Bytes(bytes),
            Numbers::Floats(mut values) => {
                set.convention = set.convention_of(&values, array.are_latents)?;
                if set.convention == ValueConvention::UnitInterval {
                    values.iter_mut().for_each(|v| *v = 2.0 * *v - 1.0);
                }
                Stored::Floats(values)
            }
        };
        Ok(set)
    }

    fn convention_of(&self, values: &[f32], are_latents: bool) -> Result<ValueConvention, String> {
        let size = values.len() / self.count;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("sample {} holds {}: must be finite", at / size, values[at]));
        }
        let colours = matches!(self.form(), SampleForm::Pictures { channels: 1 | 3, .. });
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if are_latents || !colours || low < 0.0 {
            Ok(ValueConvention::AsStored)
        } else if high <= 1.0 {
            Ok(ValueConvention::UnitInterval)
        } else if high > 16.0 {
            Err(format!("holds floats in [{low}, {high}]: pictures must be in [-1, 1] or [0, 1], or be bytes"))
        } else {
            Ok(ValueConvention::AsStored)
        }
    }

    /// Where the samples were read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "an empty set cannot be read")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// What one sample is.
    pub fn form(&self) -> SampleForm {
        let [channels, height, width] = self.shape;
        match height.min(width) >= RandomConvolutions::SIZE {
            true => SampleForm::Pictures { channels, height, width },
            false => SampleForm::Vectors { dimensions: channels * height * width },
        }
    }

    /// How stored numbers became values.
    pub fn convention(&self) -> ValueConvention {
        self.convention
    }

    /// `[channels, height, width]`; of vectors `[dimensions, 1, 1]`.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The values of some samples, each `[channels, height, width]`, one after the other.
    pub(super) fn values(&self, samples: Range<usize>) -> Result<Vec<f32>> {
        let size: usize = self.shape.iter().product();
        let range = samples.start * size..samples.end * size;
        match &self.stored {
            Stored::Folder(pictures) => {
                let decoded = pictures.decode(samples)?;
                Ok(decoded.iter().flat_map(|bytes| values_of(bytes, self.shape)).collect())
            }
            Stored::Bytes(bytes) => Ok(bytes[range].chunks(size).flat_map(|one| values_of(one, self.shape)).collect()),
            Stored::Floats(values) => Ok(values[range].to_vec()),
        }
    }
}

/// `x/127.5 − 1` of a picture `[height, width, channels]`, as `[channels, height, width]`.
fn values_of(bytes: &[u8], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let mut values = Vec::with_capacity(bytes.len());
    for channel in 0..channels {
        let of_channel = bytes.iter().skip(channel).step_by(channels);
        values.extend(of_channel.take(height * width).map(|byte| f32::from(*byte) / 127.5 - 1.0));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(shape: &[usize], values: Vec<f32>, are_latents: bool) -> Result<SampleSet, String> {
        let array = Array { shape: shape.to_vec(), numbers: Numbers::Floats(values), are_latents };
        SampleSet::of(Path::new("a.npy"), shape, array)
    }

    #[test]
    fn a_byte_and_its_share_of_255_are_one_value() {
        let bytes: Vec<u8> = (0..=255).collect();
        let shares = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let set = floats(&[1, 1, 16, 16], shares, false).unwrap();
        assert_eq!(set.convention(), ValueConvention::UnitInterval);
        assert_eq!(set.values(0..1).unwrap(), values_of(&bytes, [1, 16, 16]));
    }

    #[test]
    fn the_range_of_floats_says_what_they_are_unless_they_are_latents() {
        let picture = |low: f32, high: f32, are_latents| {
            let values = (0..25).map(|i| if i == 0 { low } else { high }).collect();
            floats(&[1, 1, 5, 5], values, are_latents).map(|set| set.convention())
        };
        assert_eq!(picture(0.0, 1.0, false), Ok(ValueConvention::UnitInterval));
        assert_eq!(picture(0.0, 1.0, true), Ok(ValueConvention::AsStored));
        assert_eq!(picture(-1.0, 1.0, false), Ok(ValueConvention::AsStored));
        assert_eq!(picture(0.0, 1.5, false), Ok(ValueConvention::AsStored));
        assert!(picture(0.0, 255.0, false).unwrap_err().contains("must be in [-1, 1] or [0, 1], or be bytes"));
        assert!(picture(0.0, f32::NAN, false).unwrap_err().starts_with("sample 0 holds NaN"));
    }

    #[test]
    fn channels_come_first_and_what_is_too_small_for_filters_is_a_vector() {
        assert_eq!(values_of(&[0, 255, 255, 0], [2, 1, 2]), [-1.0, 1.0, 1.0, -1.0]);
        let form = |shape: &[usize]| floats(shape, vec![0.0; shape.iter().product()], false).map(|set| set.form());
        assert_eq!(form(&[2, 3]), Ok(SampleForm::Vectors { dimensions: 3 }));
        assert_eq!(form(&[2, 3, 1, 1]), Ok(SampleForm::Vectors { dimensions: 3 }));
        assert_eq!(form(&[2, 4, 4, 8]), Ok(SampleForm::Vectors { dimensions: 128 }));
        assert_eq!(form(&[2, 4, 5, 8]), Ok(SampleForm::Pictures { channels: 4, height: 5, width: 8 }));
        for wrong in [&[2, 8, 8, 3][..], &[6], &[2, 3, 4], &[0, 3], &[2, 0]] {
            assert!(form(wrong).is_err(), "{wrong:?}");
        }
    }
}
