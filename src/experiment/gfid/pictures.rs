//! Pictures of one size, read batch by batch.
use super::npz::{self, PICTURES};
use crate::experiment::sets::folder;
use crate::{Error, Result};
use burn::tensor::DType;
use std::path::{Path, PathBuf};

/// Pictures of a batch, and their bytes, at most.
const BATCH: usize = 64;
const MOST_BYTES: usize = 1 << 26;
/// Pixels of a picture at most.
const MOST_PIXELS: usize = 1 << 27;

/// The pictures of a folder or of an array.
#[derive(Debug)]
pub(super) struct Pictures {
    pub path: PathBuf,
    /// At least 1.
    pub count: usize,
    /// Height and width, at least 1.
    pub sides: [usize; 2],
    stored: Stored,
}

#[derive(Debug)]
enum Stored {
    Folder(folder::Pictures),
    /// With so many channels, 1 or 3.
    Array(usize),
}

impl Pictures {
    /// Those at `path`: only headers are read.
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`], saying what would be right, for anything but a folder of pictures of one size, or a
    /// file with an array of bytes `[pictures, height, width, 3 or 1]`.
    pub fn open(path: &Path) -> Result<Self> {
        if std::fs::metadata(path).map_err(|e| Error::io(path, e))?.is_dir() {
            let pictures = folder::Pictures::list(path)?;
            let [_, height, width] = pictures.shape;
            let count = pictures.files.len();
            return Ok(Self { path: path.into(), count, sides: [height, width], stored: Stored::Folder(pictures) });
        }
        if !path.extension().is_some_and(|end| end == "npz" || end == "npy") {
            return Err(Error::format(path, "must be a folder of pictures, or a .npz or .npy file"));
        }
        let names = npz::names(path)?;
        if !names.iter().any(|name| name == PICTURES) {
            let found = names.join(", ");
            return Err(Error::format(path, format!("holds {found}: must hold pictures, called `{PICTURES}`")));
        }
        npz::with_array(path, PICTURES, |array| match (array.dtype, &array.shape[..]) {
            (DType::U8, &[count, height, width, channels @ (1 | 3)]) if ![count, height, width].contains(&0) => {
                // Who writes a header may claim any size.
                if height.saturating_mul(width) > MOST_PIXELS {
                    let most = "a picture must have at most 2^27 pixels";
                    return Err(Error::format(path, format!("`{PICTURES}` has shape {:?}: {most}", array.shape)));
                }
                let stored = Stored::Array(channels);
                Ok(Self { path: path.into(), count, sides: [height, width], stored })
            }
            (dtype, shape) => {
                let must = "must be bytes (uint8) [pictures, height, width, 3]";
                Err(Error::format(path, format!("`{PICTURES}` holds {dtype:?} of shape {shape:?}: {must}")))
            }
        })
    }

    /// Gives all pictures in order to `each`, some at a time, as bytes `[batch, height, width, 3]`.
    /// # Errors
    /// Those of `each`, and [`Error::Io`] or [`Error::Format`] for a picture that does not decode or a file that ends early.
    pub fn each_batch(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let pixels: usize = self.sides.iter().product();
        let together = (MOST_BYTES / (3 * pixels)).clamp(1, BATCH);
        let batches = (0..self.count).step_by(together).map(|start| start..self.count.min(start + together));
        match &self.stored {
            Stored::Folder(pictures) => {
                for batch in batches {
                    let decoded = pictures.decode(batch)?.concat();
                    each(&coloured(decoded, pictures.shape[0]))?;
                }
                Ok(())
            }
            Stored::Array(channels) => npz::with_array(&self.path, PICTURES, |array| {
                for batch in batches {
                    let mut bytes = vec![0; batch.len() * pixels * channels];
                    array.numbers.read_exact(&mut bytes).map_err(|e| {
                        Error::format(&self.path, format!("`{PICTURES}` ends within picture {} on: {e}", batch.start))
                    })?;
                    each(&coloured(bytes, *channels))?;
                }
                let damaged = |e| Error::format(&self.path, format!("`{PICTURES}` is damaged: {e}"));
                npz::ended(array.numbers).map_err(damaged)
            }),
        }
    }

    /// The files that hold the pictures, in order.
    pub fn files(&self) -> Vec<&Path> {
        match &self.stored {
            Stored::Folder(pictures) => pictures.files.iter().map(PathBuf::as_path).collect(),
            Stored::Array(_) => vec![&self.path],
        }
    }
}

/// Grey is a colour whose three numbers are one.
fn coloured(bytes: Vec<u8>, channels: usize) -> Vec<u8> {
    if channels == 3 { bytes } else { bytes.into_iter().flat_map(|grey| [grey; 3]).collect() }
}
