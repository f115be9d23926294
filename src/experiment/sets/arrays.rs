//! Arrays of samples in `.npz`, `.npy` and `.safetensors` files.
use crate::data::npy;
use crate::{Error, Result, tensor_file};
use burn::tensor::{DType, TensorData};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Where ADM's sampling scripts, and those that follow them, put pictures into an `.npz`.
const ARCHIVED: &str = "arr_0.npy";

/// An array as it is stored.
pub(super) struct Array {
    pub shape: Vec<usize>,
    pub numbers: Numbers,
    /// Whether the file calls them so, and they are no pictures though they may look like some.
    pub are_latents: bool,
}

/// As many as the product of the shape, in row-major order.
pub(super) enum Numbers {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// The samples of a file; its name says how it is read.
pub(super) fn read(file: &Path) -> Result<Array> {
    let (data, name) = match file.extension().and_then(|e| e.to_str()) {
        Some("npy") => (of_npy(file, &std::fs::read(file).map_err(|e| Error::io(file, e))?)?, String::new()),
        Some("npz") => (of_npy(file, &archived(file)?)?, String::new()),
        Some("safetensors") => stored(file)?,
        _ => {
            let must = "must be a folder of pictures, or a .npz, .npy or .safetensors file";
            return Err(Error::format(file, must));
        }
    };
    let (shape, dtype) = (data.shape().to_vec(), data.dtype());
    let numbers = if dtype == DType::U8 {
        Numbers::Bytes(data.try_into_vec::<u8>().map_err(|e| Error::format(file, format!("{e:?}")))?)
    } else if dtype.is_float() {
        Numbers::Floats(data.try_into_vec_as::<f32>().map_err(|e| Error::format(file, e.to_string()))?)
    } else {
        return Err(Error::format(file, format!("holds {dtype:?}: must be bytes (uint8) or floats")));
    };
    Ok(Array { shape, numbers, are_latents: name == "latents" })
}

fn of_npy(file: &Path, bytes: &[u8]) -> Result<TensorData> {
    npy::parse(bytes).map_err(|message| Error::format(file, message))
}

/// The bytes of the one `.npy` file in an archive, or of [`ARCHIVED`].
fn archived(file: &Path) -> Result<Vec<u8>> {
    let unreadable = |e: &dyn std::fmt::Display| Error::format(file, format!("not a readable .npz archive: {e}"));
    let opened = File::open(file).map_err(|e| Error::io(file, e))?;
    let mut archive = ZipArchive::new(BufReader::new(opened)).map_err(|e| unreadable(&e))?;
    let names = archive.file_names().map(|name| name.map(String::from)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|e| unreadable(&e))?;
    let name = match names.as_slice() {
        all if all.iter().any(|name| name == ARCHIVED) => ARCHIVED,
        [only] => only,
        all => {
            let must = "must be one array, or one must be called `arr_0`";
            return Err(Error::format(file, format!("holds {} arrays ({}): {must}", all.len(), all.join(", "))));
        }
    };
    let mut bytes = Vec::new();
    archive.by_name(name).map_err(|e| unreadable(&e))?.read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    Ok(bytes)
}

/// The tensor `pixels`, else `latents`, else the only one, with its name.
fn stored(file: &Path) -> Result<(TensorData, String)> {
    let mut tensors = tensor_file::open(file)?;
    let named = ["pixels", "latents"].into_iter().find(|name| tensors.contains_key(*name)).map(String::from);
    let only = || (tensors.len() == 1).then(|| tensors.keys().next().cloned()).flatten();
    let Some(name) = named.or_else(only) else {
        let names = tensors.keys().take(8).cloned().collect::<Vec<_>>().join(", ");
        let must = "must be one tensor, or one must be called `pixels` or `latents`";
        return Err(Error::format(file, format!("holds {} tensors ({names}): {must}", tensors.len())));
    };
    let Some(tensor) = tensors.remove(&name) else { return Err(Error::format(file, format!("has no `{name}`"))) };
    let data = tensor.read().map_err(|message| Error::format(file, format!("`{name}`: {message}")))?;
    Ok((data, name))
}
