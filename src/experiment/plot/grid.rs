//! A grid of images: row by row, every pixel enlarged to a square.
use super::Picture;
use crate::{Error, Result};

const GAP: usize = 2;

/// Lays out images row by row, `columns` in a row, every pixel as a square of side `scale`.
///
/// `images` is `[N, C, H, W]` with `shape = [C, H, W]` and C = 1 (grey) or 3 (RGB). Values are mapped linearly
/// from `range = (black, white)` to 0..=255 and clamped.
///
/// # Errors
/// [`Error::Invalid`] if there is no image, the shape does not fit, `columns` is 0, `scale` is not in 1..=64, or the range is empty.
pub fn grid(images: &[f32], shape: [usize; 3], columns: usize, scale: usize, range: (f32, f32)) -> Result<Picture> {
    spaced(images, shape, columns, scale, range, Gap { pixels: GAP, color: [255; 3] })
}

/// What stands between neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub pixels: usize,
    pub color: [u8; 3],
}

/// The same with another gap.
pub(super) fn spaced(
    images: &[f32],
    shape: [usize; 3],
    columns: usize,
    scale: usize,
    range: (f32, f32),
    gap: Gap,
) -> Result<Picture> {
    let [channels, height, width] = shape;
    let size = channels * height * width;
    let (low, high) = range;
    if !(channels == 1 || channels == 3) {
        return Err(Error::Invalid(format!("shape {shape:?}: a picture has 1 or 3 channels")));
    }
    if size == 0 || images.is_empty() || !images.len().is_multiple_of(size) {
        return Err(Error::Invalid(format!("{} values are not whole images of shape {shape:?}", images.len())));
    }
    if columns == 0 || !(1..=64).contains(&scale) {
        return Err(Error::Invalid(format!(
            "columns = {columns}: must be at least 1, scale = {scale}: must be in 1..=64"
        )));
    }
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(Error::Invalid(format!("range ({low}, {high}): must be finite and not empty")));
    }
    let count = images.len() / size;
    let columns = columns.min(count);
    let Gap { pixels: gap, color } = gap;
    let (cell_width, cell_height) = (width * scale + gap, height * scale + gap);
    let mut picture = Picture::new(columns * cell_width - gap, count.div_ceil(columns) * cell_height - gap, color);
    let byte = |value: f32| (255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0)).round() as u8;
    for (i, image) in images.chunks_exact(size).enumerate() {
        let (left, top) = (i % columns * cell_width, i / columns * cell_height);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let color = [0, 1, 2].map(|c| byte(image[(c.min(channels - 1) * height + y) * width + x]));
            picture.rectangle(left + x * scale, top + y * scale, scale, scale, color);
        }
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_land_where_they_belong() {
        let picture = grid(&[-1.0, 1.0, 0.0, 9.0], [1, 1, 2], 1, 3, (-1.0, 1.0)).unwrap();
        assert_eq!((picture.width, picture.height), (6, 3 + GAP + 3));
        let at = |x: usize, y: usize| picture.rgb[3 * (y * picture.width + x)];
        assert_eq!([at(0, 0), at(2, 2), at(3, 0), at(5, 2)], [0, 0, 255, 255]);
        assert_eq!([at(0, 3 + GAP), at(3, 3 + GAP)], [128, 255]);
    }

    #[test]
    fn channels_become_red_green_blue() {
        let picture = grid(&[0.0, 0.5, 1.0], [3, 1, 1], 4, 1, (0.0, 1.0)).unwrap();
        assert_eq!(picture, Picture { width: 1, height: 1, rgb: vec![0, 128, 255] });
    }

    #[test]
    fn bad_arguments_are_errors() {
        assert!(grid(&[], [1, 1, 1], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 3], [1, 1, 2], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 4], [2, 1, 2], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 2], [1, 1, 2], 0, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 2], [1, 1, 2], 1, 1, (1.0, f32::NAN)).is_err());
    }
}
