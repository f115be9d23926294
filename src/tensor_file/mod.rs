//! The tensors of a file, their numbers unread. What a file is, its bytes say and not its name; damage is an error.
mod kind;
#[cfg_attr(not(feature = "pytorch"), path = "without_pytorch.rs")]
mod pytorch;
mod safetensors;
mod shards;

#[cfg(feature = "experiment")]
pub(crate) use shards::files;

use crate::{Error, Result};
use burn::store::bridge;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::tensor::{DType, TensorData};
use kind::FileKind;
use std::collections::BTreeMap;
use std::path::Path;

/// A tensor of a file, its numbers not read yet.
#[derive(Debug)]
pub(crate) struct FileTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its numbers, as the file calls it.
    pub type_name: String,
    /// Where its numbers are; none if they are of a type that nobody reads.
    numbers: Option<StoredTensor>,
}

/// Tensors by their name in a file.
pub(crate) type Stored = BTreeMap<String, FileTensor>;

impl FileTensor {
    fn readable(type_name: String, numbers: StoredTensor) -> Self {
        Self { shape: numbers.shape.to_vec(), type_name, numbers: Some(numbers) }
    }

    /// The type of its numbers; none if nobody reads it.
    pub fn dtype(&self) -> Option<DType> {
        self.numbers.as_ref().map(|numbers| numbers.dtype)
    }

    /// Reads its numbers.
    ///
    /// # Errors
    /// What is wrong, without the name of the file and of the tensor.
    pub fn read(self) -> Result<TensorData, String> {
        let unread = format!("its numbers are {}, which is not read", self.type_name);
        let data = bridge::into_data(self.numbers.ok_or(unread)?).map_err(|e| e.to_string())?;
        let (bytes, _, dtype) = data.into_parts();
        TensorData::try_from_bytes(bytes, self.shape, dtype).map_err(|e| e.to_string())
    }

    /// The same numbers in another shape, of as many.
    #[cfg(feature = "models")]
    pub fn reshaped(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.shape = shape.into();
        self
    }

    /// The bytes that its numbers take in memory.
    #[cfg(feature = "data")]
    fn bytes(&self) -> Option<u64> {
        let size = self.dtype()?.size();
        let bytes = self.shape.iter().try_fold(size, |bytes, side| bytes.checked_mul(*side));
        Some(bytes.map_or(u64::MAX, |bytes| bytes as u64))
    }
}

/// The tensors of a safetensors or PyTorch file, or of all files of an index of shards.
///
/// # Errors
/// [`Error::Io`] if a file cannot be opened, [`Error::Format`] saying what the file is instead, or that it is damaged.
pub(crate) fn open(file: &Path) -> Result<Stored> {
    let file = &shards::opened_for(file)?;
    match kind::of(file)? {
        FileKind::Index => shards::open(file),
        kind => open_as(kind, file),
    }
}

/// The tensors of one file.
fn open_as(kind: FileKind, file: &Path) -> Result<Stored> {
    match kind {
        FileKind::Safetensors => safetensors::open(file),
        FileKind::PyTorch => pytorch::open(file),
        FileKind::Index => Err("is an index of shards, named in another index".to_string()),
    }
    .map_err(|message| Error::format(file, message))
}

/// The tensors of a safetensors or PyTorch file whose names are wanted, read into memory: each no larger than the file.
#[cfg(feature = "data")]
pub(crate) fn read_numbers(file: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, TensorData>> {
    let length = std::fs::metadata(file).map_err(|e| Error::io(file, e))?.len();
    let read = |(name, tensor): (String, FileTensor)| {
        // A tensor of strides 0 claims what it does not have.
        let data = match tensor.bytes() {
            Some(bytes) if bytes > length => Err(format!("claims {bytes} bytes of a file of {length}")),
            _ => tensor.read(),
        };
        Ok((name.clone(), data.map_err(|message| Error::format(file, format!("`{name}`: {message}")))?))
    };
    open(file)?.into_iter().filter(|(name, _)| is_wanted(name)).map(read).collect()
}

#[cfg(test)]
mod tests;
