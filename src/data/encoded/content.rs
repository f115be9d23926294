//! What one file holds, and its bytes.
use super::{EncodedPart, StoredFloats};
use crate::Result;
use crate::data::{Array, TextItem, npy};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// What a file is to hold.
#[derive(Debug, Clone, Copy)]
pub enum Encoded<'a> {
    /// The bytes `[size, size, 3]` of a [`Pictures`](EncodedPart::Pictures).
    Picture(&'a [u8]),
    /// The numbers of a [`Posterior`](EncodedPart::Posterior), `[2C, H, W]`: mean, then standard deviation.
    Posterior(&'a [f32]),
    /// The numbers of a [`Latents`](EncodedPart::Latents), `[C, H, W]`.
    Latents(&'a [f32]),
    /// The numbers of a [`Features`](EncodedPart::Features), `[tokens, width]`.
    Features(&'a [f32]),
    /// A [`Text`](EncodedPart::Text).
    Text(&'a TextItem),
}

impl Encoded<'_> {
    /// Whether a part is of this kind.
    pub(super) fn is_of(&self, part: &EncodedPart) -> bool {
        matches!(
            (self, part),
            (Self::Picture(_), EncodedPart::Pictures { .. })
                | (Self::Posterior(_), EncodedPart::Posterior { .. })
                | (Self::Latents(_), EncodedPart::Latents { .. })
                | (Self::Features(_), EncodedPart::Features { .. })
                | (Self::Text(_), EncodedPart::Text { .. })
        )
    }

    /// The bytes of the file of a part of this kind.
    ///
    /// # Errors
    /// What does not fit the part, or a number that is not finite.
    pub(super) fn bytes(&self, part: &EncodedPart) -> Result<Vec<u8>, String> {
        match (*self, *part) {
            (Self::Picture(rgb), EncodedPart::Pictures { size }) => png(rgb, size),
            (Self::Text(text), EncodedPart::Text { tokens, width, pooled, stored }) => {
                let (context, shape) = (&text.context, [tokens, width]);
                of_shape(context, &shape, "context")?;
                of_shape(&text.pooled, &[pooled], "pooled")?;
                safetensors_of(&[("context", context), ("pooled", &text.pooled)], stored)
            }
            (Self::Posterior(values) | Self::Latents(values) | Self::Features(values), part) => {
                let shape = part.array().ok_or("is of another part")?;
                if values.len() != shape.iter().product::<usize>() {
                    return Err(format!("{} numbers do not fill the shape {shape:?}", values.len()));
                }
                finite(values, "it")?;
                Ok(npy::of_floats(&shape, values))
            }
            _ => Err("is of another part".into()),
        }
    }
}

/// REPA's pictures are not compressed, so that training decodes them fast.
fn png(rgb: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if rgb.len() != 3 * size * size {
        return Err(format!("{} bytes are no picture of {size} × {size} pixels", rgb.len()));
    }
    let mut bytes = Vec::with_capacity(rgb.len() + 4096);
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Uncompressed, FilterType::NoFilter);
    let side = size as u32;
    encoder.write_image(rgb, side, side, ExtendedColorType::Rgb8).map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn of_shape(array: &Array, shape: &[usize], what: &str) -> Result<(), String> {
    if array.shape != shape || array.values.len() != shape.iter().product::<usize>() {
        return Err(format!("{what} has shape {:?}: must be {shape:?}", array.shape));
    }
    finite(&array.values, what)
}

fn finite(values: &[f32], what: &str) -> Result<(), String> {
    let bad = values.iter().position(|value| !value.is_finite());
    bad.map_or(Ok(()), |place| Err(format!("{what} holds {} at place {place}", values[place])))
}

fn safetensors_of(arrays: &[(&str, &Array)], stored: StoredFloats) -> Result<Vec<u8>, String> {
    let dtype = match stored {
        StoredFloats::F32 => Dtype::F32,
        StoredFloats::Bf16 => Dtype::BF16,
    };
    let bytes: Vec<Vec<u8>> = arrays.iter().map(|(_, array)| floats(&array.values, stored)).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, array), bytes)| {
        let view = TensorView::new(dtype, array.shape.clone(), bytes).map_err(|e| e.to_string())?;
        Ok((*name, view))
    });
    safetensors::serialize(views.collect::<Result<Vec<_>, String>>()?, None).map_err(|e| e.to_string())
}

fn floats(values: &[f32], stored: StoredFloats) -> Vec<u8> {
    match stored {
        StoredFloats::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        StoredFloats::Bf16 => values.iter().flat_map(|value| bf16(*value).to_le_bytes()).collect(),
    }
}

/// The upper half of a finite number, rounded to the nearest, of two equally near to the even one.
fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let even = (bits >> 16) & 1;
    ((bits + 0x7FFF + even) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        let back = |value: f32| f32::from_bits(u32::from(bf16(value)) << 16);
        for (value, expected) in [
            (1.0, 1.0),
            (-3.140625, -3.140625),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
        ] {
            assert_eq!(back(value), expected, "{value}");
        }
    }
}
