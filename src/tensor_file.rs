//! The tensors of a file, their bytes unread. Burn's readers check what they are given: damage is an error.
use crate::{Error, Result};
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::TensorData;
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors by their name in a file, their bytes not read yet.
pub(crate) type Stored = BTreeMap<String, StoredTensor>;

/// Opens safetensors if the name ends in `.safetensors`, else a PyTorch file.
pub(crate) fn open(file: &Path) -> Result<Stored> {
    // Opened first so that an absent file is an I/O error whatever the format.
    std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
    if file.extension().is_some_and(|e| e == "safetensors") {
        let mut store = SafetensorsStore::from_file(file);
        store.get_all_tensors().cloned().map_err(|e| Error::format(file, e.to_string()))
    } else {
        open_pytorch(file).map_err(|message| Error::format(file, message))
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
    let read = |(name, tensor)| {
        let data = bridge::into_data(tensor).map_err(|e| Error::format(file, format!("`{name}`: {e}")))?;
        Ok((name, data))
    };
    stored.into_iter().map(read).collect()
}
