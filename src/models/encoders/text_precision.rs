//! The type of the numbers of a text encoder.
use crate::{Error, Result};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of the weights of a text encoder, in which it also computes. Norms and activations are computed in f32 in both.
///
/// f16 is none of them, since T5 overflows in it: files of f16 are read as either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPrecision {
    /// 32 bits: what Stability's code computes in.
    #[default]
    F32,
    /// 16 bits: half the memory, and on a GPU a fraction of the time.
    Bf16,
}

impl TextPrecision {
    /// The type for `device`.
    ///
    /// # Errors
    /// [`Error::Device`] if the device does not compute in it.
    pub(super) fn on(self, device: &Device) -> Result<DType> {
        let dtype = match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        };
        if device.supports_dtype(dtype) {
            return Ok(dtype);
        }
        let message = format!("does not compute in {dtype:?}: take \"f32\"");
        Err(Error::Device { name: format!("{device:?}"), message })
    }
}

/// A function of `x` that is computed in f32 and rounded to the type of `x`.
pub(super) fn in_f32<const D: usize>(x: Tensor<D>, function: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let original: FloatDType = DType::into(x.dtype());
    function(x.cast(FloatDType::F32)).cast(original)
}
