//! RGB pixels, and the PNG they become.
use crate::monitor::TensorBoard;
use crate::{Error, Result};
use std::path::Path;

/// An RGB picture with 8 bits per channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[height, width, 3]` in row-major order.
    pub rgb: Vec<u8>,
}

impl Picture {
    pub(super) fn new(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self { width, height, rgb: color.repeat(width * height) }
    }

    /// Fills a rectangle; whatever lies outside the picture is cut off.
    pub(super) fn rectangle(&mut self, x: usize, y: usize, width: usize, height: usize, color: [u8; 3]) {
        let columns = x.min(self.width)..(x + width).min(self.width);
        for row in y.min(self.height)..(y + height).min(self.height) {
            let line = &mut self.rgb[3 * row * self.width..3 * (row + 1) * self.width];
            for pixel in line[3 * columns.start..3 * columns.end].chunks_exact_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }

    /// Puts a smaller picture in, which must fit.
    pub(super) fn paste(&mut self, x: usize, y: usize, other: &Picture) {
        for (row, line) in other.rgb.chunks_exact(3 * other.width).enumerate() {
            self.rgb[3 * ((y + row) * self.width + x)..][..line.len()].copy_from_slice(line);
        }
    }

    /// Mixes `color` into a pixel with weight `alpha` in [0, 1]; a place outside the picture is left out.
    pub(super) fn blend(&mut self, x: i32, y: i32, color: [u8; 3], alpha: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height {
            for (old, new) in self.rgb[3 * (y * self.width + x)..][..3].iter_mut().zip(color) {
                let mixed = f32::from(*old) + alpha.clamp(0.0, 1.0) * (f32::from(new) - f32::from(*old));
                // Never negative; `round` is a call on plain x86-64.
                *old = (mixed + 0.5) as u8;
            }
        }
    }

    /// Each pixel of the result is the mean of `factor × factor` pixels; both sides must be multiples of it.
    pub(super) fn shrink(&self, factor: usize) -> Self {
        let (width, height) = (self.width / factor, self.height / factor);
        let mut rgb = Vec::with_capacity(3 * width * height);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sums = [0usize; 3];
            for row in 0..factor {
                let start = 3 * ((y * factor + row) * self.width + x * factor);
                for pixel in self.rgb[start..start + 3 * factor].chunks_exact(3) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += usize::from(*value));
                }
            }
            let area = factor * factor;
            rgb.extend(sums.map(|sum| ((sum + area / 2) / area) as u8));
        }
        Self { width, height, rgb }
    }

    /// Shows the picture in TensorBoard.
    ///
    /// # Errors
    /// As [`to_png`](Self::to_png).
    pub fn show(&self, board: &TensorBoard, tag: &str, step: i64) -> Result<()> {
        board.picture(tag, self.width as u32, self.height as u32, &self.to_png()?, step);
        Ok(())
    }

    /// The picture as the bytes of a PNG.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `rgb` does not have `3 · width · height` bytes or the picture has no pixel.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let failed = |e: String| Error::Invalid(format!("picture of {}×{}: {e}", self.width, self.height));
        if self.rgb.is_empty() || self.rgb.len() != 3 * self.width * self.height {
            return Err(failed(format!("has {} bytes, must have 3 · width · height", self.rgb.len())));
        }
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new_with_quality(
            &mut bytes,
            image::codecs::png::CompressionType::Default,
            image::codecs::png::FilterType::Adaptive,
        );
        let (width, height) = (self.width as u32, self.height as u32);
        image::ImageEncoder::write_image(encoder, &self.rgb, width, height, image::ExtendedColorType::Rgb8)
            .map_err(|e| failed(e.to_string()))?;
        Ok(bytes)
    }

    /// Writes the picture as PNG, whatever the name's ending.
    ///
    /// # Errors
    /// As [`Self::to_png`]; [`Error::Io`] if the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        crate::storage::write(path.as_ref(), &self.to_png()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_reads_back_unchanged() {
        let picture = Picture { width: 5, height: 3, rgb: (0..45).map(|i| i * 5).collect() };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture");
        picture.save_png(&file).unwrap();
        let back = image::load_from_memory(&std::fs::read(&file).unwrap()).unwrap().into_rgb8();
        assert_eq!((back.width(), back.height()), (5, 3));
        assert_eq!(back.into_raw(), picture.rgb);
    }

    #[test]
    fn pictures_that_are_none_are_errors() {
        assert!(Picture { width: 2, height: 2, rgb: vec![0; 11] }.to_png().is_err());
        assert!(Picture { width: 0, height: 0, rgb: vec![] }.to_png().is_err());
        let missing = Picture::new(1, 1, [0; 3]).save_png("/nonexistent/x.png");
        assert!(matches!(missing, Err(Error::Io { .. })));
    }

    #[test]
    fn shrinking_takes_means() {
        let picture = Picture { width: 2, height: 2, rgb: [[0; 3], [100; 3], [100; 3], [201; 3]].concat() };
        assert_eq!(picture.shrink(2), Picture { width: 1, height: 1, rgb: vec![100; 3] });
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut picture = Picture::new(2, 2, [255; 3]);
        picture.rectangle(1, 1, 9, 9, [0; 3]);
        picture.rectangle(7, 7, 1, 1, [0; 3]);
        picture.blend(-1, 0, [0; 3], 1.0);
        picture.blend(0, 0, [0, 255, 255], 0.5);
        assert_eq!(picture.rgb, [[128, 255, 255], [255; 3], [255; 3], [0; 3]].concat());
    }
}
