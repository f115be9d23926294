//! Safetensors: a length, a header in JSON, numbers. The header is checked against the file before anything is read.
use super::{FileTensor, Stored};
use burn::store::bridge;
use burn::store::burn_pack::Error as PackError;
use burn::tensor::{BoolStore, Bytes, DType, Shape, TensorData};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of the length.
const LENGTH: u64 = 8;
/// The longest header that the format allows.
const LONGEST_HEADER: u64 = 100_000_000;
const AGAIN: &str = "it is cut off or damaged, get it again";

/// The tensors of a safetensors file.
pub(super) fn open(file: &Path) -> Result<Stored, String> {
    let text = |e: std::io::Error| e.to_string();
    let mut opened = File::open(file).map_err(text)?;
    let length = opened.metadata().map_err(text)?.len();
    let mut claimed = [0; LENGTH as usize];
    opened.read_exact(&mut claimed).map_err(text)?;
    let claimed = u64::from_le_bytes(claimed);
    if claimed > LONGEST_HEADER || claimed > length.saturating_sub(LENGTH) {
        return Err(format!("its header claims {claimed} bytes, the file has {length}: {AGAIN}"));
    }
    let mut header = Vec::new();
    (&mut opened).take(claimed).read_to_end(&mut header).map_err(text)?;
    // Offsets that overlap, leave holes or do not fit the shapes are errors here.
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|e| format!("its header cannot be read ({e}): {AGAIN}"))?;
    let start = LENGTH + claimed;
    let numbers = length - start;
    if metadata.data_len() as u64 != numbers {
        let named = metadata.data_len();
        return Err(format!("its header names {named} bytes of numbers, the file has {numbers}: {AGAIN}"));
    }
    let opened = Arc::new(Mutex::new(opened));
    let tensors = metadata.tensors();
    let tensor = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let type_name = format!("{:?}", info.dtype);
        let Some(dtype) = dtype(info.dtype) else {
            return (name, FileTensor { shape: info.shape.clone(), type_name, numbers: None });
        };
        let (opened, shape) = (opened.clone(), Shape::from(info.shape.clone()));
        let (begin, end) = info.data_offsets;
        let read = {
            let shape = shape.clone();
            move || {
                let bytes = part(&opened, start + begin as u64, end - begin, dtype);
                let bytes = bytes.map_err(|e| PackError::IoError(e.to_string()))?;
                TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), shape.clone(), dtype)
                    .map_err(|e| PackError::ValidationError(e.to_string()))
            }
        };
        let numbers = bridge::deferred(name.clone(), dtype, shape, None, read);
        (name, FileTensor::readable(type_name, numbers))
    };
    Ok(tensors.into_iter().map(tensor).collect())
}

/// Some bytes of a file, which were within it when it was opened.
fn part(file: &Mutex<File>, start: u64, length: usize, dtype: DType) -> std::io::Result<Vec<u8>> {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    if matches!(dtype, DType::Bool(_)) {
        bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok(bytes)
}

/// The type in memory; none for those that Burn has not, such as `F8_E4M3`.
fn dtype(stored: Dtype) -> Option<DType> {
    Some(match stored {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}
