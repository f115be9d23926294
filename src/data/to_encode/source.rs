//! Pictures that are listed once and read when they are asked for.
use super::captions::{self, Captioned};
use super::{PictureReading, PictureSourceConfig};
use crate::data::images::{FOREIGN, as_stored, central_square, labels, upright};
use crate::data::listing::{Listing, PICTURES};
use crate::{Error, Result, digest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Classes of ImageNet.
const IMAGENET: usize = 1000;

/// The pictures of a folder, sorted by name: their names, classes and captions are in memory, and nothing else.
#[derive(Debug)]
pub struct PictureSource {
    config: PictureSourceConfig,
    names: Vec<String>,
    labels: Vec<i64>,
    classes: usize,
    captions: Option<Vec<String>>,
    notes: Vec<String>,
}

/// One picture as an encoder is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePicture {
    /// Its index, or that of the picture of which it is the mirror, plus the number of pictures.
    pub index: usize,
    /// `[size, size, 3]` bytes.
    pub rgb: Vec<u8>,
}

/// A picture that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its index, as of [`SourcePicture`].
    pub index: usize,
    /// Its name below the folder.
    pub picture: String,
    /// What is wrong with it.
    pub reason: String,
}

impl PictureSource {
    /// Lists the pictures, their classes and their captions; no picture is opened. Pictures of kinds that cannot be read, as
    /// GIF, are listed as well, so that they are reported and not forgotten.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition; [`Error::Format`] if there is no picture, or naming those without a
    /// class or caption; [`Error::Io`].
    pub fn open(config: PictureSourceConfig) -> Result<Self> {
        Error::if_any(config.problems("encode"))?;
        let Listing { names, others } = Listing::of(&config.folder, &[&PICTURES[..], &FOREIGN[..]].concat())?;
        if names.is_empty() {
            let found = Listing { names, others }.found_instead();
            let must = "holds no picture: must hold PNG, JPEG or WebP files";
            return Err(Error::format(&config.folder, format!("{must}; found: {found}")));
        }
        let found = labels::of(&config.labels, &config.folder, &names)?;
        let captioned = captions::of(&config.captions, &config.folder, &names)?;
        let (captions, note) = captioned.map_or((None, None), |Captioned { captions, note }| (Some(captions), note));
        let notes = [found.note(), of_imagenet(&found.names), note].into_iter().flatten().collect();
        Ok(Self { config, names, labels: found.labels, classes: found.names.len(), captions, notes })
    }

    /// What was asked for.
    pub fn config(&self) -> &PictureSourceConfig {
        &self.config
    }

    /// Number of pictures, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a source without pictures is an error")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Number of pictures, mirrored ones included.
    pub fn total(&self) -> usize {
        self.len() * self.config.flips.sets()
    }

    /// Number of classes; 0 without labels.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The class of every picture; zeros without labels.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The name of a picture below the folder; an index beyond the pictures is that of a mirrored one.
    pub fn name(&self, index: usize) -> &str {
        &self.names[index % self.len()]
    }

    /// The caption of a picture, where there are captions.
    pub fn caption(&self, index: usize) -> Option<&str> {
        self.captions.as_ref().map(|captions| captions[index % self.len()].as_str())
    }

    /// What a person should know of the classes and captions.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// 32 hexadecimal digits that stand for the names, classes and captions of all pictures, in their order.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (index, (name, label)) in self.names.iter().zip(&self.labels).enumerate() {
            hash.update(format!("{name}\0{label}\0{}\0", self.caption(index).unwrap_or_default()));
        }
        digest::hex(hash.finalize(), 16)
    }

    /// A picture, cropped as [`adm_crop`](crate::data::adm_crop) crops, and mirrored if the index is beyond the pictures.
    ///
    /// # Errors
    /// What is wrong with its file.
    pub fn read(&self, index: usize) -> Result<SourcePicture, Skipped> {
        let picture = self.name(index).to_string();
        let file = self.config.folder.join(&picture);
        let read = match self.config.reading {
            PictureReading::AsStored => as_stored(&file),
            PictureReading::Upright => upright(&file),
        };
        let pixels = read.map_err(|reason| Skipped { index, picture, reason })?;
        let mut square = central_square(pixels, self.config.size);
        if index >= self.len() {
            image::imageops::flip_horizontal_in_place(&mut square);
        }
        Ok(SourcePicture { index, rgb: square.into_raw() })
    }

    /// Some pictures, read on all cores.
    ///
    /// # Errors
    /// As [`read`](Self::read), each by itself.
    pub fn read_many(&self, indices: &[usize]) -> Vec<Result<SourcePicture, Skipped>> {
        indices.par_iter().map(|index| self.read(*index)).collect()
    }
}

/// A warning where folders are called as ImageNet's, but are not all of them.
fn of_imagenet(classes: &[String]) -> Option<String> {
    let is_wordnet = |name: &String| {
        name.strip_prefix('n').is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let count = classes.len();
    (count > 0 && count != IMAGENET && classes.iter().all(is_wordnet)).then(|| {
        format!(
            "the folders are {count} of ImageNet's {IMAGENET} classes: they are numbered 0 to {}, and not as in the published \
             checkpoints; \"labels\" can name a file that gives every picture its number",
            count - 1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_imagenet_is_told_and_all_of_it_or_anything_else_is_not() {
        let folders = |count: usize| (0..count).map(|i| format!("n{i:08}")).collect::<Vec<_>>();
        assert!(of_imagenet(&folders(999)).unwrap().contains("numbered 0 to 998"));
        assert_eq!(of_imagenet(&folders(1000)), None);
        assert_eq!(of_imagenet(&[]), None);
        assert_eq!(of_imagenet(&["n00000001".into(), "nothing".into()]), None);
    }
}
