//! Arrays within `.npz` archives, and `.npy` files, read from front to back: a batch of samples has ten gigabytes.
use crate::data::npy;
use crate::{Error, Result};
use burn::tensor::DType;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Bytes read from the disk together.
const BUFFER: usize = 1 << 20;

/// The type and the shape of an array, and what follows.
pub(super) struct Array<'a> {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub numbers: &'a mut dyn Read,
}

/// The names of the arrays in a file, without `.npy`; of a `.npy` file `arr_0`.
pub(super) fn names(file: &Path) -> Result<Vec<String>> {
    if !is_archive(file) {
        return Ok(vec![PICTURES.into()]);
    }
    let archive = open(file)?;
    let names = archive.file_names().map(|name| name.map(|name| name.trim_end_matches(".npy").to_string()));
    names.collect::<Result<_, _>>().map_err(|e| unreadable(file, &e))
}

/// Where ADM's scripts put pictures.
pub(super) const PICTURES: &str = "arr_0";

/// Gives the array called `name` to `read`.
pub(super) fn with_array<T>(file: &Path, name: &str, read: impl FnOnce(Array<'_>) -> Result<T>) -> Result<T> {
    let read = |numbers: &mut dyn Read| {
        let mut numbers = numbers;
        let header = npy::read_header(&mut numbers);
        let (dtype, shape) = header.map_err(|message| Error::format(file, format!("`{name}` {message}")))?;
        read(Array { dtype, shape, numbers })
    };
    if is_archive(file) {
        let mut archive = open(file)?;
        let entry = archive.by_name(&format!("{name}.npy")).map_err(|e| unreadable(file, &e))?;
        return read(&mut BufReader::with_capacity(BUFFER, entry));
    }
    let opened = File::open(file).map_err(|e| Error::io(file, e))?;
    read(&mut BufReader::with_capacity(BUFFER, opened))
}

/// The numbers of an array of floats in f64, which must have this `shape`; `whose` says whose it is.
pub(super) fn floats(file: &Path, name: &str, shape: &[usize], whose: &str) -> Result<Vec<f64>> {
    with_array(file, name, |array| {
        let wrong = |message: String| Error::format(file, format!("`{name}` {message}"));
        let size = size_of(&array, shape, whose).map_err(wrong)?;
        let mut bytes = vec![0; size * shape.iter().product::<usize>()];
        array.numbers.read_exact(&mut bytes).map_err(|e| wrong(format!("does not fill the shape {shape:?}: {e}")))?;
        ended(array.numbers).map_err(|e| wrong(format!("is damaged: {e}")))?;
        Ok(match size {
            8 => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            _ => bytes.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        })
    })
}

/// Reads on to the end, where an archive compares the checksum of what was read.
///
/// # Errors
/// That of the archive.
pub(super) fn ended(numbers: &mut dyn Read) -> std::io::Result<()> {
    std::io::copy(numbers, &mut std::io::sink()).map(drop)
}

/// # Errors
/// [`Error::Format`] unless an array is of floats and has this `shape`; its numbers are not read.
pub(super) fn has_shape(file: &Path, name: &str, shape: &[usize], whose: &str) -> Result<()> {
    let wrong = |message| Error::format(file, format!("`{name}` {message}"));
    with_array(file, name, |array| size_of(&array, shape, whose).map(drop).map_err(wrong))
}

/// Bytes of a number of an array of floats that must have this `shape`.
fn size_of(array: &Array<'_>, shape: &[usize], whose: &str) -> std::result::Result<usize, String> {
    if array.shape != shape {
        return Err(format!("has shape {:?}: {whose} is {shape:?}", array.shape));
    }
    match array.dtype {
        DType::F64 => Ok(8),
        DType::F32 => Ok(4),
        other => Err(format!("holds {other:?}: must be float64 or float32")),
    }
}

fn is_archive(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "npz")
}

fn open(file: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let opened = File::open(file).map_err(|e| Error::io(file, e))?;
    ZipArchive::new(BufReader::new(opened)).map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::format(file, format!("not a readable .npz archive: {reason}"))
}
