//! What the files of an encoding are made of.
use super::EncodedPart;
use super::part::MOST;
use crate::data::to_encode::{Flips, PictureReading, PictureSource};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the files of an encoding are made of: another one must not go on in its folder. Kept as `encode.json`.
///
/// It covers the names, classes and captions of the pictures, and not what their files hold: a picture that could not be
/// read may be mended, and is then encoded under its index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodingIdentity {
    /// Number of pictures that are listed, those that cannot be read included.
    pub pictures: usize,
    /// [`PictureSource::hash`].
    pub listing: String,
    /// Side of the cropped pictures, in pixels.
    pub size: usize,
    /// How files are read.
    pub reading: PictureReading,
    /// Whether mirrored pictures follow.
    pub flips: Flips,
    /// What each picture becomes.
    pub parts: Vec<EncodedPart>,
    /// What else decides the numbers, by its name: the hash of each network's weights, the type of its numbers.
    pub made_by: BTreeMap<String, Value>,
}

impl EncodingIdentity {
    /// Of the pictures of `source`, which become `parts`.
    pub fn new(source: &PictureSource, parts: Vec<EncodedPart>, made_by: BTreeMap<String, Value>) -> Self {
        let config = source.config();
        Self {
            pictures: source.len(),
            listing: source.hash(),
            size: config.size,
            reading: config.reading,
            flips: config.flips,
            parts,
            made_by,
        }
    }

    /// How many files each part has if every picture can be read.
    pub fn files(&self) -> usize {
        self.pictures * self.flips.sets()
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::Invalid(message));
        if self.pictures == 0 || self.files() > MOST {
            return wrong(format!("{} pictures with their mirrored ones: must be in 1..={MOST}", self.files()));
        }
        if self.parts.is_empty() {
            return wrong("nothing is to be made of the pictures: name at least one part".into());
        }
        let mut folders: Vec<&str> = self.parts.iter().map(EncodedPart::folder).collect();
        folders.sort_unstable();
        match folders.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => wrong(format!("two parts would be written to `{}`", pair[0])),
            None => Ok(()),
        }
    }
}
