//! The folder of generated pictures: which are missing, and writing them.
use super::{SampleLayout, npz};
use crate::data::claimed::claim;
use crate::data::listing::first;
use crate::{Error, Result, storage};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const IDENTITY: &str = "samples.json";

/// The signature of a PNG, and its last chunk with its checksum.
const BEGINS: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const ENDS: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Generated pictures of one size, written one by one: see the [module](super) for their places.
///
/// Pictures may be written by many threads at once, in any order. Only one process may write: take a
/// [`FolderLock`](crate::FolderLock) of the folder first.
#[derive(Debug)]
pub struct SampleFolder {
    root: PathBuf,
    layout: SampleLayout,
    height: usize,
    width: usize,
}

impl SampleFolder {
    /// Begins in `root`, or goes on with what is there. `made_of` is what decides the pictures beside their index: weights,
    /// sampler, seed, decoder, [`PixelRule`](crate::data::PixelRule).
    ///
    /// # Errors
    /// [`Error::Invalid`] for no picture, and naming every prompt that cannot be the name of a file; [`Error::OtherData`] with
    /// every difference if pictures made of something else are there; [`Error::Format`] if more numbered pictures are there
    /// than asked for, or some of which nothing says what they are made of; [`Error::Io`].
    pub fn open(
        root: impl Into<PathBuf>,
        layout: SampleLayout,
        [height, width]: [usize; 2],
        made_of: &Value,
    ) -> Result<Self> {
        let root = root.into();
        layout.check()?;
        let (file, folder) = (root.join(IDENTITY), Self { root, layout, height, width });
        if !file.exists() && (0..folder.layout.total()).any(|index| folder.file(index).exists()) {
            let message = format!("holds pictures but no {IDENTITY}: name a new folder");
            return Err(Error::format(&folder.root, message));
        }
        let layout = folder.layout.identity();
        claim(&file, &json!({"layout": layout, "height": height, "width": width, "made_of": made_of}))?;
        folder.check_count()?;
        for (name, text) in folder.layout.texts() {
            folder.put(&folder.root.join(name), text.as_bytes())?;
        }
        Ok(folder)
    }

    /// Fails if there are more numbered pictures than asked for: whoever scores the folder would take all of them.
    fn check_count(&self) -> Result<()> {
        let SampleLayout::Numbered { count } = self.layout else { return Ok(()) };
        let folder = self.root.join("pictures");
        let number = |name: &String| name.strip_suffix(".png").and_then(|digits| digits.parse::<usize>().ok());
        match names(&folder)?.iter().filter_map(number).max() {
            Some(last) if last >= count => {
                let message =
                    format!("holds picture {last} already: ask for {} or more, or name a new folder", last + 1);
                Err(Error::format(folder, message))
            }
            _ => Ok(()),
        }
    }

    /// Which pictures there are to be.
    pub fn layout(&self) -> &SampleLayout {
        &self.layout
    }

    /// Where a picture is.
    pub fn file(&self, index: usize) -> PathBuf {
        self.root.join(self.layout.file(index))
    }

    /// The indices of the pictures that are missing or cut, sorted. What a stopped process left behind is removed: scorers would
    /// take it for pictures.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read.
    pub fn pending(&self) -> Result<Vec<usize>> {
        let (mut pending, mut listed, mut there) = (Vec::new(), PathBuf::new(), BTreeSet::new());
        for index in 0..self.layout.total() {
            let file = self.file(index);
            let folder = file.parent().unwrap_or(&self.root);
            if folder != listed {
                storage::sweep(folder);
                (listed, there) = (folder.to_path_buf(), names(folder)?);
            }
            let is_there = file.file_name().is_some_and(|name| there.contains(&*name.to_string_lossy()));
            if !is_there || !is_whole(&file) {
                pending.push(index);
            }
        }
        Ok(pending)
    }

    /// Writes a picture of `[height, width, 3]` bytes as PNG: whole or not at all.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the index is beyond the last, or for another number of bytes; [`Error::Io`].
    pub fn write(&self, index: usize, rgb: &[u8]) -> Result<()> {
        let (height, width, total) = (self.height, self.width, self.layout.total());
        if index >= total || rgb.len() != 3 * height * width {
            let bytes = rgb.len();
            let message =
                format!("picture {index} of {total} with {bytes} bytes: must be below, of {width} × {height} pixels");
            return Err(Error::Invalid(message));
        }
        let (file, mut bytes) = (self.file(index), Vec::with_capacity(rgb.len() / 2));
        let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
        let encoded = encoder.write_image(rgb, width as u32, height as u32, ExtendedColorType::Rgb8);
        encoded.map_err(|e| Error::format(&file, e.to_string()))?;
        self.put(&file, &bytes)
    }

    fn put(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
            storage::create_folder(folder)?;
        }
        storage::write(file, bytes)
    }

    /// Fails unless all pictures are there.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming those that are missing; [`Error::Io`].
    pub fn finish(&self) -> Result<()> {
        let missing: Vec<String> = self.pending()?.into_iter().map(|index| self.layout.file(index)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (root, count, list) = (self.root.display(), missing.len(), first(&missing));
        Err(Error::Invalid(format!("{root}: {count} picture(s) are missing:{list}")))
    }

    /// Puts all pictures into `samples_{n}x{height}x{width}x3.npz`, as ADM's sampling script calls it: `arr_0` of bytes
    /// `[n, height, width, 3]`, and the classes `[n]` as `arr_1` if they are given. One picture at a time is in memory.
    ///
    /// # Errors
    /// As [`finish`](Self::finish); [`Error::Io`] and [`Error::Format`] naming a picture that does not decode to this size.
    pub fn write_npz(&self, classes: Option<&[i64]>) -> Result<PathBuf> {
        self.finish()?;
        let (count, height, width) = (self.layout.total(), self.height, self.width);
        let file = self.root.join(format!("samples_{count}x{height}x{width}x3.npz"));
        npz::write(&file, [count, height, width, 3], |index| self.file(index), classes)?;
        Ok(file)
    }
}

/// Whether a file begins and ends as a PNG does: one that was cut is drawn again.
fn is_whole(file: &Path) -> bool {
    let ends = || -> io::Result<_> {
        let (mut opened, mut first, mut last) = (File::open(file)?, [0; BEGINS.len()], [0; ENDS.len()]);
        opened.read_exact(&mut first)?;
        opened.seek(SeekFrom::End(-(ENDS.len() as i64)))?;
        opened.read_exact(&mut last)?;
        Ok((first, last))
    };
    ends().is_ok_and(|ends| ends == (BEGINS, ENDS))
}

/// The names in a folder; none if it is not there.
fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let name = |entry: io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(Error::io(folder, error)),
        Ok(entries) => entries.map(name).collect::<io::Result<_>>().map_err(|e| Error::io(folder, e)),
    }
}
