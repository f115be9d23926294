//! The pictures that latents were made of.
use super::listing;
use crate::data::Picture;
use crate::{Error, Result};
use burn::data::dataset::{Dataset, DatasetError};
use std::path::{Path, PathBuf};

/// The PNG files below a folder, in the order of their latents.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    folder: PathBuf,
    names: Vec<String>,
}

impl ImageFolder {
    /// Lists the files.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read, [`Error::Format`] for a name that is not UTF-8 or a folder linked into
    /// itself.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_path_buf();
        Ok(Self { names: listing::files(&folder, &["png"])?, folder })
    }
}

impl Dataset<Picture> for ImageFolder {
    fn get(&self, index: usize) -> Result<Picture, DatasetError> {
        let count = self.names.len();
        let beyond = || DatasetError::new(Error::Invalid(format!("picture {index}: must be below {count}")));
        let file = self.folder.join(self.names.get(index).ok_or_else(beyond)?);
        let decoded = image::open(&file).map_err(|e| DatasetError::new(Error::format(&file, e.to_string())))?;
        let decoded = decoded.into_rgb8();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        Ok(Picture { width, height, rgb: decoded.into_raw() })
    }

    fn len(&self) -> usize {
        self.names.len()
    }
}
