//! Weights out, as safetensors.
use super::finite::not_finite;
use super::{KeyMap, official};
use crate::{Error, Result, storage};
use burn::module::Module;
use burn::store::bridge;
use burn::tensor::DType;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

/// The type of floating-point numbers in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExportType {
    /// That of the weights.
    #[default]
    Kept,
    /// 32 bits.
    F32,
    /// 16 bits: five for the exponent, ten for the digits.
    F16,
    /// 16 bits: eight for the exponent, as f32, seven for the digits.
    Bf16,
}

/// Writes the parameters of `module` as safetensors with official names and layouts, replacing `file` only when
/// all of it is written.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Weights`] if a parameter cannot be read or has a type
/// safetensors does not know.
pub fn export_safetensors<M: Module>(module: &M, file: &Path, names: KeyMap<'_>) -> Result<()> {
    export_safetensors_as(module, file, names, ExportType::Kept)
}

/// As [`export_safetensors`], with floating-point numbers of the type `as_type`.
///
/// # Errors
/// As [`export_safetensors`].
pub fn export_safetensors_as<M: Module>(module: &M, file: &Path, names: KeyMap<'_>, as_type: ExportType) -> Result<()> {
    let mut parts = Vec::new();
    for tensor in official(module, names) {
        let name = tensor.name.clone();
        let data = bridge::into_data(tensor).map_err(|e| Error::Weights(format!("`{name}`: {e}")))?;
        if not_finite(&data).is_some() {
            return Err(Error::Weights(format!("`{name}` holds a NaN or an infinity, so that nothing is written")));
        }
        let data = match as_type {
            _ if !data.dtype().is_float() => data,
            ExportType::Kept => data,
            ExportType::F32 => data.convert_dtype(DType::F32),
            ExportType::F16 => data.convert_dtype(DType::F16),
            ExportType::Bf16 => data.convert_dtype(DType::BF16),
        };
        let dtype = file_type(data.dtype())
            .ok_or_else(|| Error::Weights(format!("`{name}`: {:?} is unknown to safetensors", data.dtype())))?;
        parts.push((name, dtype, data));
    }
    let mut views = Vec::with_capacity(parts.len());
    for (name, dtype, data) in &parts {
        let view = TensorView::new(*dtype, data.shape().to_vec(), data.as_bytes())
            .map_err(|e| Error::Weights(format!("`{name}`: {e}")))?;
        views.push((name.as_str(), view));
    }
    storage::write_with(file, |unfinished| {
        safetensors::serialize_to_file(views, None, unfinished).map_err(std::io::Error::other)
    })
}

fn file_type(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 | DType::Flex32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}
