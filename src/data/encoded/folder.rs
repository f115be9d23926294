//! The folder of an encoding: which files are missing, writing them, and what comes last.
use super::part::PER_FOLDER;
use super::{Encoded, EncodedPart, EncodingIdentity};
use crate::data::TextItem;
use crate::data::claimed::claim;
use crate::data::listing::first;
use crate::data::to_encode::Skipped;
use crate::{Error, Result, storage};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const IDENTITY: &str = "encode.json";
const LABELS: &str = "dataset.json";
const NULL_TEXT: &str = "null.safetensors";
const SKIPPED: &str = "skipped.json";

/// The files of an encoding that may be interrupted anywhere: see the [module](super) for their places.
///
/// Files may be written by many threads at once, in any order. Only one process may write: take a
/// [`FolderLock`](crate::FolderLock) of the folder first.
#[derive(Debug)]
pub struct EncodedFolder {
    root: PathBuf,
    identity: EncodingIdentity,
}

impl EncodedFolder {
    /// Begins an encoding in `root`, or goes on with the one that is there.
    ///
    /// # Errors
    /// [`Error::OtherData`] with every difference if another encoding is there; [`Error::Format`] if files are there and
    /// nothing says what they are made of; [`Error::Invalid`] for no picture, too many of them, or no part; [`Error::Io`].
    pub fn open(root: impl Into<PathBuf>, identity: EncodingIdentity) -> Result<Self> {
        let root = root.into();
        identity.check()?;
        let file = root.join(IDENTITY);
        if !file.exists()
            && let Some(part) = identity.parts.iter().find(|part| root.join(part.folder()).exists())
        {
            let message = format!("holds `{}` but no {IDENTITY}: name a new folder", part.folder());
            return Err(Error::format(&root, message));
        }
        claim(&file, &identity)?;
        Ok(Self { root, identity })
    }

    /// Where the files of a part are.
    pub fn folder(&self, part: &EncodedPart) -> PathBuf {
        self.root.join(part.folder())
    }

    /// The indices in `0..files()` of the [identity](EncodingIdentity::files) that lack a file of any part, sorted. Files of
    /// another length than they should have are made again.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read.
    pub fn pending(&self) -> Result<Vec<usize>> {
        let (mut pending, files) = (Vec::new(), self.identity.files());
        for start in (0..files).step_by(PER_FOLDER) {
            let indices = start..files.min(start + PER_FOLDER);
            let mut whole = vec![true; indices.len()];
            for part in &self.identity.parts {
                let (there, length) = (self.lengths(part, start)?, part.length());
                let is_whole = |found: &u64| length.map_or(*found > 0, |length| length == *found);
                for (whole, index) in whole.iter_mut().zip(indices.clone()) {
                    *whole &= there.get(&file_name(&part.file(index))).is_some_and(is_whole);
                }
            }
            pending.extend(indices.zip(whole).filter(|(_, whole)| !whole).map(|(index, _)| index));
        }
        Ok(pending)
    }

    /// The lengths of the files beside that of `index`, by their names. What a stopped process left there is removed.
    fn lengths(&self, part: &EncodedPart, index: usize) -> Result<HashMap<String, u64>> {
        let file = self.folder(part).join(part.file(index));
        let folder = file.parent().unwrap_or(&self.root);
        storage::sweep(folder);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            entries => entries.map_err(|e| Error::io(folder, e))?,
        };
        let length = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
        };
        entries.map(length).collect::<io::Result<_>>().map_err(|e| Error::io(folder, e))
    }

    /// Writes one file: whole or not at all.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file for numbers that are not finite or do not fit the part; [`Error::Invalid`] if no part
    /// is of this kind or the index is out of range; [`Error::Io`].
    pub fn write(&self, index: usize, content: Encoded<'_>) -> Result<()> {
        let part = self.part_of(&content)?;
        if index >= self.identity.files() {
            return Err(Error::Invalid(format!("file {index} of {}: beyond the last", self.identity.files())));
        }
        self.put(&self.folder(part).join(part.file(index)), part, content)
    }

    /// Writes the embedded empty prompt.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_null_text(&self, text: &TextItem) -> Result<()> {
        let content = Encoded::Text(text);
        let part = self.part_of(&content)?;
        self.put(&self.folder(part).join(NULL_TEXT), part, content)
    }

    fn part_of(&self, content: &Encoded<'_>) -> Result<&EncodedPart> {
        let part = self.identity.parts.iter().find(|part| content.is_of(part));
        part.ok_or_else(|| Error::Invalid("the encoding has no part of this kind".into()))
    }

    fn put(&self, file: &Path, part: &EncodedPart, content: Encoded<'_>) -> Result<()> {
        let bytes = content.bytes(part).map_err(|message| Error::format(file, message))?;
        if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
            storage::create_folder(folder)?;
        }
        storage::write(file, &bytes)
    }

    /// Writes what comes last: `skipped.json`, then `dataset.json` of every part that has one. `labels` are the classes of
    /// all pictures, 0 where there are none; those that were `skipped` are not listed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if files are missing of a picture that was not skipped, or as many labels as pictures are not
    /// given; [`Error::Io`].
    pub fn finish(&self, labels: &[i64], skipped: &[Skipped]) -> Result<()> {
        let (pictures, files) = (self.identity.pictures, self.identity.files());
        if labels.len() != pictures {
            return Err(Error::Invalid(format!("{} labels for {pictures} pictures", labels.len())));
        }
        let left_out: BTreeSet<usize> = skipped.iter().map(|one| one.index % pictures).collect();
        let missing: Vec<usize> =
            self.pending()?.into_iter().filter(|index| !left_out.contains(&(index % pictures))).collect();
        let mut names: Vec<String> = missing.iter().map(|index| format!("{index:08}")).collect();
        for part in self.identity.parts.iter().filter(|part| matches!(part, EncodedPart::Text { .. })) {
            if !self.folder(part).join(NULL_TEXT).exists() {
                names.push(format!("{}/{NULL_TEXT}", part.folder()));
            }
        }
        if !names.is_empty() {
            let (root, count, list) = (self.root.display(), names.len(), first(&names));
            return Err(Error::Invalid(format!("{root}: {count} file(s) are missing:{list}")));
        }
        self.report(skipped)?;
        let listed: Vec<usize> = (0..files).filter(|index| !left_out.contains(&(index % pictures))).collect();
        for part in self.identity.parts.iter().filter(|part| part.is_listed()) {
            let label = |index: usize| labels[index % pictures];
            self.list(part, &listed, label)?;
        }
        Ok(())
    }

    /// Names the skipped pictures, or removes what named them before.
    fn report(&self, skipped: &[Skipped]) -> Result<()> {
        let file = self.root.join(SKIPPED);
        if skipped.is_empty() {
            return storage::remove_file(&file);
        }
        let text = serde_json::to_string_pretty(skipped).map_err(|e| Error::Invalid(e.to_string()))?;
        storage::write(&file, text.as_bytes())
    }

    fn list(&self, part: &EncodedPart, indices: &[usize], label: impl Fn(usize) -> i64) -> Result<()> {
        storage::write_with(&self.folder(part).join(LABELS), |scratch| {
            let mut out = BufWriter::new(File::create(scratch)?);
            out.write_all(b"{\"labels\":[")?;
            for (place, index) in indices.iter().enumerate() {
                let comma = if place > 0 { "," } else { "" };
                write!(out, "{comma}[\"{}\",{}]", part.file(*index), label(*index))?;
            }
            out.write_all(b"]}\n")?;
            out.flush()
        })
    }
}

/// The name without its folder.
fn file_name(path: &str) -> String {
    path.rsplit_once('/').map_or(path, |(_, name)| name).to_string()
}
