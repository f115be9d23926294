//! The tensors of a file, their bytes unread. No damage to a file panics.
use super::Stored;
use crate::{Error, Result};
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::TensorData;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Opens safetensors if the name ends in `.safetensors`, else a PyTorch file.
pub(super) fn open(file: &Path) -> Result<Stored> {
    // Opened first so that an absent file is an I/O error whatever the format.
    std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
    if file.extension().is_some_and(|e| e == "safetensors") {
        let mut store = SafetensorsStore::from_file(file);
        guarded(file, || store.get_all_tensors().cloned().map_err(|e| e.to_string()))
    } else {
        guarded(file, || open_pytorch(file))
    }
}

/// Turns a panic of a reader into an error: a checkpoint is a stranger's data.
pub(super) fn guarded<T>(file: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|message| Error::format(file, message)),
        Err(_) => Err(Error::format(file, "damaged: its reader gave up")),
    }
}

#[cfg(feature = "pytorch")]
fn open_pytorch(file: &Path) -> Result<Stored, String> {
    use burn::store::pytorch_reader::PytorchReader;
    let reader = PytorchReader::new(file).map_err(|e| e.to_string())?;
    Ok(reader.into_tensors().into_iter().map(|(name, tensor)| (name, bridge::from_pytorch(tensor))).collect())
}

#[cfg(not(feature = "pytorch"))]
fn open_pytorch(_: &Path) -> Result<Stored, String> {
    Err("reading PyTorch files needs the feature `pytorch`; or convert it to .safetensors".into())
}

/// All tensors of a safetensors or PyTorch file, read into memory.
pub(crate) fn read_numbers(file: &Path) -> Result<BTreeMap<String, TensorData>> {
    let stored = open(file)?;
    let read = |(name, tensor)| bridge::into_data(tensor).map(|data| (name, data)).map_err(|e| e.to_string());
    guarded(file, || stored.into_iter().map(read).collect())
}
