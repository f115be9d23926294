//! Weights one tensor at a time, for a network that is made of them: no number is in memory twice.
use super::contents::Contents;
use super::finite::not_finite;
use super::import::{Sorted, sorted};
use super::names::covers;
use super::recognise::{Model, Set, Wanted};
use super::{ImportOptions, ImportReport, WeightSource};
use crate::tensor_file::{self, FileTensor, Stored};
use crate::{Error, Result};
use burn::store::bridge;
use burn::store::burn_pack::{Error as PackError, Tensor as StoredTensor};
use burn::tensor::{DType, Shape, TensorData};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file of weights, of which names and shapes are known.
#[derive(Debug)]
pub(crate) struct Opened {
    file: PathBuf,
    stored: Stored,
}

impl Opened {
    /// Opens what [`import`](super::import()) opens.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] as there.
    pub(crate) fn new(file: &Path) -> Result<Self> {
        Ok(Self { file: file.to_path_buf(), stored: tensor_file::open(file)? })
    }

    /// The names of all tensors, with whatever stands before them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.stored.keys().map(String::as_str)
    }

    /// Whether it has a tensor of this name, with whatever stands before it, and shape.
    pub(crate) fn has(&self, name: &str, shape: &[usize]) -> bool {
        !before(name, shape, &self.stored).is_empty()
    }

    /// The tensors that a network of the given `parameters` (names and shapes in the file) is made of, to be read as numbers of
    /// type `dtype`. Tensors whose names the entries of `ignored` cover may be there as well.
    ///
    /// The weights may stand below a prefix, beside other networks: the shape of the first parameter tells which are meant. What
    /// else is recognised around names, [`import`](super::import()) says.
    ///
    /// # Errors
    /// [`Error::Weights`] as there.
    pub(crate) fn stream(self, parameters: &[(String, Vec<usize>)], ignored: &[&str], dtype: DType) -> Result<Stream> {
        let Self { file, stored } = self;
        let unfit = |message: String| Error::Weights(format!("{}: {message}", file.display()));
        let contents = Contents::of(&stored);
        let model = Model::of(parameters.iter().map(|(name, _)| name.as_str()));
        let prefix = parameters.first().and_then(|(name, shape)| prefix_of(name, shape, &stored));
        let wanted = Wanted { source: WeightSource::Auto, prefix: prefix.as_deref() };
        let set = Set::of(stored, wanted, &model).map_err(|message| unfit(format!("{message}; {contents}")))?;
        let is_there = |entry: &&&str| set.tensors.keys().any(|name| covers(entry, name));
        let allow_unused = ignored.iter().filter(is_there).map(|entry| (*entry).to_string()).collect();
        let options = ImportOptions { allow_unused, ..Default::default() };
        let expected = parameters.iter().map(|(name, shape)| (name.clone(), unmade(name, shape, dtype))).collect();
        let Sorted { fitting, report } =
            sorted(set, &expected, &options).map_err(|wrong| unfit(wrong.told(&contents)))?;
        Ok(Stream { file, tensors: fitting.into_iter().collect(), dtype, report })
    }
}

/// What stands before the names, if the parameter `name` of this `shape` is in one place and that is not the beginning.
fn prefix_of(name: &str, shape: &[usize], stored: &Stored) -> Option<String> {
    match before(name, shape, stored).into_iter().collect::<Vec<_>>()[..] {
        [prefix] => prefix.strip_suffix('.').map(str::to_string),
        _ => None,
    }
}

/// What stands before `name` wherever a tensor of this `shape` is so called.
fn before<'a>(name: &str, shape: &[usize], stored: &'a Stored) -> BTreeSet<&'a str> {
    let fits = stored.iter().filter(|(_, tensor)| tensor.shape == shape);
    let before = fits.filter_map(|(stored, _)| stored.strip_suffix(name));
    before.filter(|before| before.is_empty() || before.ends_with('.')).collect()
}

/// A parameter of a network that is not made yet.
fn unmade(name: &str, shape: &[usize], dtype: DType) -> StoredTensor {
    bridge::deferred(name.to_string(), dtype, Shape::from(shape.to_vec()), None, || {
        Err(PackError::ValidationError("it has no numbers yet".into()))
    })
}

/// Tensors that fit a network, their numbers unread.
#[derive(Debug)]
pub(crate) struct Stream {
    file: PathBuf,
    tensors: BTreeMap<String, FileTensor>,
    dtype: DType,
    report: ImportReport,
}

impl Stream {
    /// Reads the tensor called `name`, once.
    ///
    /// # Errors
    /// [`Error::Format`] if it cannot be read or holds numbers that are not finite, [`Error::Weights`] if it was read before.
    pub(crate) fn read(&mut self, name: &str) -> Result<TensorData> {
        let wrong = |message: String| Error::format(&self.file, format!("`{name}`: {message}"));
        let gone = || Error::Weights(format!("{}: `{name}` is read twice", self.file.display()));
        let data = self.tensors.remove(name).ok_or_else(gone)?.read().map_err(wrong)?;
        let data = data.convert_dtype(self.dtype);
        if let Some(what) = not_finite(&data) {
            return Err(wrong(format!("{what}: take another file, or get it again")));
        }
        self.report.loaded += 1;
        Ok(data)
    }

    /// What was done.
    pub(crate) fn report(self) -> ImportReport {
        self.report
    }
}
