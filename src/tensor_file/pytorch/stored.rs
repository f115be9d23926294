//! The tensors of a ZIP archive of PyTorch, their numbers unread.
use super::archive::{Archive, Storage};
use super::tensors::{Numbers, Tensor};
use super::view::View;
use super::{ALONE, machine, names};
use crate::tensor_file::{FileTensor, Stored};
use burn::store::bridge;
use burn::store::burn_pack::Error as PackError;
use burn::tensor::{Bytes, DType, Shape, TensorData};
use std::path::Path;
use std::sync::Arc;

/// What a tensor may be that claims more numbers than its file has, as `expand` makes them.
const LARGEST_EXPANDED: u64 = 1 << 30;

/// The tensors of `file`.
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    let archive = Archive::open(file)?;
    let found = {
        let pickle = archive.pickle()?;
        let read = machine::read(&pickle);
        let (heap, root) =
            read.map_err(|e| format!("its pickle cannot be read ({e}): it is damaged, get it again; or {ALONE}"))?;
        names::tensors(&heap, root, pickle.len())?
    };
    let archive = Arc::new(archive);
    let tensor = |(name, tensor): (String, Tensor)| {
        let numbers = match (tensor.numbers, tensor.element.dtype) {
            (Some(numbers), Some(dtype)) => Some((numbers, dtype)),
            _ => None,
        };
        let Some((numbers, dtype)) = numbers else {
            return Ok((name, FileTensor { shape: tensor.shape, type_name: tensor.element.name, numbers: None }));
        };
        let storage = storage_of(&archive, &numbers).map_err(|e| format!("`{name}`: {e}"))?;
        let (archive, view, shape) = (archive.clone(), numbers.view, Shape::from(tensor.shape));
        let read = {
            let shape = shape.clone();
            move || {
                let bytes = Bytes::from_bytes_vec(read(&archive, storage, &view, dtype)?);
                TensorData::try_from_bytes(bytes, shape.clone(), dtype)
                    .map_err(|e| PackError::ValidationError(e.to_string()))
            }
        };
        let numbers = bridge::deferred(name.clone(), dtype, shape, None, read);
        Ok((name, FileTensor::readable(tensor.element.name, numbers)))
    };
    found.into_iter().map(tensor).collect()
}

/// Where the numbers of a tensor are, which must be there.
fn storage_of(archive: &Archive, numbers: &Numbers) -> Result<Option<Storage>, String> {
    if numbers.view.bytes() == 0 {
        return Ok(None);
    }
    let storage = archive.storage(&numbers.storage)?;
    let (start, length) = numbers.view.window();
    if (start + length) as u64 > storage.bytes {
        let (end, key, has) = (start + length, &numbers.storage, storage.bytes);
        return Err(format!("needs {end} bytes of the storage `{key}`, which has {has}: it is damaged, get it again"));
    }
    Ok(Some(storage))
}

/// The bytes of a tensor in row-major order.
fn read(archive: &Archive, storage: Option<Storage>, view: &View, dtype: DType) -> Result<Vec<u8>, PackError> {
    let Some(storage) = storage else { return Ok(Vec::new()) };
    let (start, length) = view.window();
    let (claims, file) = (view.bytes().max(length) as u64, archive.length());
    if claims > file.max(LARGEST_EXPANDED) {
        return Err(PackError::ValidationError(format!("claims {claims} bytes of a file of {file}")));
    }
    let window = archive.read(storage, start, length).map_err(|e| PackError::IoError(e.to_string()))?;
    let few = || PackError::ValidationError(format!("{} bytes do not fit in memory", view.bytes()));
    let mut bytes = view.gathered(window).ok_or_else(few)?;
    if matches!(dtype, DType::Bool(_)) {
        bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok(bytes)
}
