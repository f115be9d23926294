//! Bicubic resampling of images as PyTorch's `interpolate(mode="bicubic", align_corners=False)` does it: y = R x Cᵀ, with one
//! matrix of weights for the rows and one for the columns.
//!
//! | kernel | a | support | where |
//! |---|---|---|---|
//! | [`Bicubic::Interpolating`] | −0.75 | 4 pixels of the input, whatever the reduction | pictures before DINOv2 |
//! | [`Bicubic::Antialiased`] | −0.5 | 4 pixels of the output, if it is the smaller | DINOv2's positions |
//!
//! Both are the cubic convolution of Keys (1981): with x the distance in pixels, (a + 2)x³ − (a + 3)x² + 1 for x < 1, and
//! a(x³ − 5x² + 8x − 4) for 1 ≤ x < 2.
use crate::{Error, Result};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// Which of PyTorch's two bicubic kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bicubic {
    /// Four pixels of the input around each place (`antialias=False`); those beyond the edge are the edge's. Reducing by more
    /// than 2 leaves pixels out.
    Interpolating,
    /// All pixels of the input that four of the output cover (`antialias=True`); weights beyond the edge are left out, and the
    /// others sum to 1.
    Antialiased,
}

/// `images` `[batch, channels, height, width]` at another `[height, width]`, computed in f32 and returned in their own type.
///
/// # Errors
/// [`Error::Invalid`] if a side is 0 before or after.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_mixflow::models::encoders::resample::{Bicubic, bicubic};
///
/// let images = Tensor::<4>::ones([2, 3, 256, 256], &Device::flex());
/// assert_eq!(bicubic(images, [224, 224], Bicubic::Interpolating)?.dims(), [2, 3, 224, 224]);
/// # Ok::<(), burn_mixflow::Error>(())
/// ```
pub fn bicubic(images: Tensor<4>, size: [usize; 2], kernel: Bicubic) -> Result<Tensor<4>> {
    let [batch, channels, height, width] = images.dims();
    if [height, width].iter().chain(&size).any(|side| *side == 0) {
        let from = [height, width];
        return Err(Error::Invalid(format!(
            "resampling from {from:?} to {size:?} pixels: every side must be at least 1"
        )));
    }
    if [height, width] == size {
        return Ok(images);
    }
    let original: FloatDType = DType::into(images.dtype());
    let [rows, columns] =
        [(height, size[0]), (width, size[1])].map(|(from, to)| kernel.matrix(from, to, &images.device()));
    let flat = images.cast(FloatDType::F32).reshape([batch * channels * height, width]);
    let narrow = flat.matmul(columns.transpose()).reshape([batch * channels, height, size[1]]);
    let both = rows.unsqueeze::<3>().matmul(narrow);
    Ok(both.reshape([batch, channels, size[0], size[1]]).cast(original))
}

impl Bicubic {
    /// The weights `[outputs, inputs]` of every input pixel in every output pixel.
    fn matrix(self, inputs: usize, outputs: usize, device: &Device) -> Tensor<2> {
        // In f32, in PyTorch's order, and fused where its builds fuse: rounding moves places by up to 1e-5 pixels.
        let scale = inputs as f32 / outputs as f32;
        let mut weights = vec![0.0; outputs * inputs];
        for (i, row) in weights.chunks_exact_mut(inputs).enumerate() {
            match self {
                Self::Interpolating => interpolating(scale, i, row),
                Self::Antialiased => antialiased(scale, i, row),
            }
        }
        Tensor::from_data(TensorData::new(weights, [outputs, inputs]), (device, DType::F32))
    }
}

/// Adds the weights of the four pixels around the place of output pixel `i`.
fn interpolating(scale: f32, i: usize, row: &mut [f32]) {
    const A: f32 = -0.75;
    let place = scale.mul_add(i as f32 + 0.5, -0.5);
    let before = place.floor();
    let past = (place - before).clamp(0.0, 1.0);
    let left = 1.0 - past;
    let weights = [outer(past + 1.0, A), inner(past, A), inner(left, A), outer(left + 1.0, A)];
    for (offset, weight) in (-1..).zip(weights) {
        let at = (before as isize + offset).clamp(0, row.len() as isize - 1);
        row[at as usize] += weight;
    }
}

/// Writes the weights of the pixels that the widened kernel around output pixel `i` covers.
fn antialiased(scale: f32, i: usize, row: &mut [f32]) {
    const A: f32 = -0.5;
    let wide = scale.max(1.0);
    let (support, inverse) = (2.0 * wide, 1.0 / wide);
    let centre = scale * (i as f32 + 0.5);
    let first = (centre - support + 0.5).max(0.0) as usize;
    let end = ((centre + support + 0.5) as usize).min(row.len());
    let covered = &mut row[first..end];
    for (j, weight) in (first..).zip(covered.iter_mut()) {
        let x = ((j as f32 - centre + 0.5) * inverse).abs();
        *weight = match x {
            x if x < 1.0 => inner(x, A),
            x if x < 2.0 => outer(x, A),
            _ => 0.0,
        };
    }
    let total: f32 = covered.iter().sum();
    covered.iter_mut().for_each(|weight| *weight /= total);
}

/// The kernel for 0 ≤ x ≤ 1.
fn inner(x: f32, a: f32) -> f32 {
    ((a + 2.0).mul_add(x, -(a + 3.0)) * x).mul_add(x, 1.0)
}

/// The kernel for 1 ≤ x ≤ 2.
fn outer(x: f32, a: f32) -> f32 {
    a.mul_add(x, -5.0 * a).mul_add(x, 8.0 * a).mul_add(x, -4.0 * a)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: [Bicubic; 2] = [Bicubic::Interpolating, Bicubic::Antialiased];

    fn weights(kernel: Bicubic, inputs: usize, outputs: usize) -> Vec<f32> {
        kernel.matrix(inputs, outputs, &Device::flex()).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn every_output_pixel_is_a_weighted_mean() {
        for kernel in KERNELS {
            for (inputs, outputs) in [(256, 224), (37, 16), (37, 32), (5, 9), (1, 3), (3, 1), (900, 14)] {
                for row in weights(kernel, inputs, outputs).chunks(inputs) {
                    let sum: f32 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 2e-6, "{kernel:?}, {inputs} to {outputs}: {sum}");
                }
            }
        }
    }

    #[test]
    fn halving_weighs_the_two_pixels_beside_and_the_two_beyond() {
        let [far, near] = [-0.093_75, 0.593_75];
        let row = &weights(Bicubic::Interpolating, 8, 4)[8..16];
        assert_eq!(row, [0.0, far, near, near, far, 0.0, 0.0, 0.0]);
        // Beyond the edge, the pixel of the edge counts.
        assert_eq!(weights(Bicubic::Interpolating, 8, 4)[..3], [far + near, near, far]);
    }

    #[test]
    fn straight_lines_stay_straight_where_a_is_a_half() {
        let (inputs, outputs) = (25, 40);
        for (i, row) in weights(Bicubic::Antialiased, inputs, outputs).chunks(inputs).enumerate().skip(4).take(32) {
            let place = 0.625 * (i as f32 + 0.5) - 0.5;
            let found: f32 = row.iter().enumerate().map(|(j, weight)| j as f32 * weight).sum();
            assert!((found - place).abs() < 1e-5, "{i}: {found} instead of {place}");
        }
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        for kernel in KERNELS {
            let identity = weights(kernel, 5, 5);
            assert!((0..25).all(|k| identity[k] == if k % 6 == 0 { 1.0 } else { 0.0 }), "{kernel:?}: {identity:?}");
        }
    }

    #[test]
    fn rows_are_not_columns() {
        let image = Tensor::<4>::from_floats([[[[0.0, 0.0, 0.0, 0.0], [8.0, 8.0, 8.0, 8.0]]]], &Device::flex());
        let small = bicubic(image, [2, 2], Bicubic::Antialiased).unwrap();
        assert_eq!(small.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 8.0, 8.0]);
    }

    #[test]
    fn no_side_may_be_0() {
        let image = Tensor::<4>::zeros([1, 1, 2, 3], &Device::flex());
        let error = bicubic(image, [0, 4], Bicubic::Interpolating).unwrap_err().to_string();
        assert_eq!(error, "resampling from [2, 3] to [0, 4] pixels: every side must be at least 1");
    }
}
