//! The JSON of pictures that are to be encoded.
use crate::Problem;
use crate::data::ImageLabels;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A folder of pictures, and what an encoder is given of them. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PictureSourceConfig {
    /// Holds PNG, JPEG and WebP files, at any depth.
    pub folder: PathBuf,
    /// Side of the square that each picture is cropped and resized to, in pixels, in 8..=4096.
    #[cfg_attr(feature = "schema", schemars(range(min = 8, max = 4096)))]
    pub size: usize,
    /// Where the classes are.
    #[serde(default)]
    pub labels: ImageLabels,
    /// Where the captions are.
    #[serde(default)]
    pub captions: Captions,
    /// How files are read.
    #[serde(default)]
    pub reading: PictureReading,
    /// Whether every picture is encoded mirrored as well.
    #[serde(default)]
    pub flips: Flips,
}

/// Where the captions of pictures are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Captions {
    /// There are none.
    #[default]
    None,
    /// In `a.txt` beside `a.jpg`: all of it, without the white space around it.
    Txt,
    /// In a file with one JSON object a line, `file_name` and `text` in each, such as `metadata.jsonl`.
    Jsonl(PathBuf),
}

/// How the file of a picture becomes pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PictureReading {
    /// As SiT, REPA and RAE read them, `Image.open(file).convert("RGB")`: not turned as the EXIF says, and what is transparent
    /// shows the colour stored there. Sixteen bits are rounded to eight; Pillow cuts them at 255.
    #[default]
    AsStored,
    /// Turned as its EXIF says, transparency laid on white, as `data.kind = "images"` reads them.
    Upright,
}

/// Which of left and right an encoder sees first: an encoded picture cannot be mirrored any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Flips {
    /// Each picture once: REPA.
    #[default]
    None,
    /// Each picture, and after all of them each one mirrored. SiT and RAE mirror half of the pictures at random, drawn anew
    /// each epoch, before they encode.
    Both,
}

impl Flips {
    /// Encoded pictures for each picture.
    pub fn sets(self) -> usize {
        match self {
            Self::None => 1,
            Self::Both => 2,
        }
    }
}

impl PictureSourceConfig {
    /// The pictures of `folder`, cropped to `size` pixels, with defaults for the rest.
    pub fn new(folder: impl Into<PathBuf>, size: usize) -> Self {
        Self {
            folder: folder.into(),
            size,
            labels: ImageLabels::None,
            captions: Captions::None,
            reading: PictureReading::default(),
            flips: Flips::None,
        }
    }

    /// Every violated condition that shows without the files, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        let mut check = |holds, key: &str, value: String, must: &str| {
            Problem::unless(&mut problems, holds, path, key, value, must);
        };
        check(named(&self.folder), "folder", "\"\"".into(), "must name a folder");
        check((8..=4096).contains(&self.size), "size", self.size.to_string(), "must be in 8..=4096");
        if let ImageLabels::File(file) = &self.labels {
            check(named(file), "labels.file", "\"\"".into(), "must name a file");
        }
        if let Captions::Jsonl(file) = &self.captions {
            check(named(file), "captions.jsonl", "\"\"".into(), "must name a file");
        }
        problems
    }
}
