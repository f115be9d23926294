//! Pixels as DINOv2 was trained on them.
use super::config::COLOURS;
use crate::models::imagenet::colours;
use crate::{Error, Result};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Pixels in [0, 1] from `bytes` that lie as `[batch, 3, height, width]`: v / 255, in f32.
///
/// # Errors
/// [`Error::Invalid`] if there are not as many bytes as `shape` says.
/// ```
/// use burn_mixflow::models::encoders::dinov2::pixels;
/// let white = pixels(&[255; 3 * 4 * 4], [1, 3, 4, 4], &burn::tensor::Device::flex())?;
/// assert_eq!(white.min().into_scalar::<f32>(), 1.0);
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
pub fn pixels(bytes: &[u8], shape: [usize; 4], device: &Device) -> Result<Tensor<4>> {
    let wanted = shape.iter().fold(1_usize, |all, side| all.saturating_mul(*side));
    if bytes.len() != wanted {
        return Err(Error::Invalid(format!("{} bytes are no image of shape {shape:?}", bytes.len())));
    }
    let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    Ok(Tensor::from_data(TensorData::new(values, shape), (device, DType::F32)))
}

/// (x − mean) / deviation of each colour, for `images` `[batch, 3, height, width]` in [0, 1].
pub(super) fn normalised(images: Tensor<4>) -> Tensor<4> {
    let [mean, deviation] = colours(&images);
    (images - mean) / deviation
}

/// Refuses images that do not have three colours.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn three_colours(images: &Tensor<4>) -> Result<()> {
    match images.dims()[1] {
        COLOURS => Ok(()),
        other => {
            Err(Error::Invalid(format!("images with {other} channels: DINOv2 reads {COLOURS}, red, green and blue")))
        }
    }
}
