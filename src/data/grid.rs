//! Pictures of many images: a grid, and several labelled grids side by side.
use super::font;
use crate::{Error, Result};
use std::path::Path;

const GAP: usize = 2;
const GUTTER: usize = 8;
const MARGIN: usize = 4;
const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [0; 3];
/// Twice the letters' size, which stays legible in a terminal's or browser's thumbnail.
const LETTER: usize = 2;

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
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: WHITE.repeat(width * height) }
    }

    /// Fills a square; whatever lies outside the picture is cut off.
    pub(crate) fn square(&mut self, x: usize, y: usize, side: usize, color: [u8; 3]) {
        for row in y..(y + side).min(self.height) {
            for column in x..(x + side).min(self.width) {
                self.rgb[3 * (row * self.width + column)..][..3].copy_from_slice(&color);
            }
        }
    }

    pub(crate) fn text(&mut self, x: usize, y: usize, text: &str) {
        for (i, letter) in text.chars().enumerate() {
            for (dx, bits) in font::columns(letter).into_iter().enumerate() {
                for dy in (0..font::HEIGHT).filter(|dy| bits >> dy & 1 == 1) {
                    self.square(x + LETTER * (i * font::ADVANCE + dx), y + LETTER * dy, LETTER, BLACK);
                }
            }
        }
    }

    fn paste(&mut self, x: usize, y: usize, other: &Picture) {
        for row in 0..other.height {
            let line = &other.rgb[3 * row * other.width..][..3 * other.width];
            self.rgb[3 * ((y + row) * self.width + x)..][..line.len()].copy_from_slice(line);
        }
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the picture cannot be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        use image::ImageEncoder;
        let (mut png, width, height) = (Vec::new(), self.width as u32, self.height as u32);
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(&self.rgb, width, height, image::ExtendedColorType::Rgb8)
            .map_err(|error| Error::Invalid(format!("a picture of {width} x {height} pixels: {error}")))?;
        Ok(png)
    }

    /// Writes the picture as PNG, whatever the name's ending.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written, [`Error::Format`] if the picture cannot be encoded.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (width, height) = (self.width as u32, self.height as u32);
        image::save_buffer_with_format(
            path,
            &self.rgb,
            width,
            height,
            image::ExtendedColorType::Rgb8,
            image::ImageFormat::Png,
        )
        .map_err(|error| match error {
            image::ImageError::IoError(source) => Error::io(path, source),
            other => Error::format(path, other.to_string()),
        })
    }
}

/// Lays out images row by row, `columns` in a row, every pixel as a square of side `scale`.
///
/// `images` is `[N, C, H, W]` with `shape = [C, H, W]` and C = 1 (grey) or 3 (RGB). Values are mapped linearly
/// from `range = (black, white)` to 0..=255 and clamped.
///
/// # Errors
/// [`Error::Invalid`] if there is no image, the shape does not fit, `columns` is 0, `scale` is not in 1..=64, or the range is empty.
pub fn grid(images: &[f32], shape: [usize; 3], columns: usize, scale: usize, range: (f32, f32)) -> Result<Picture> {
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
    let (cell_width, cell_height) = (width * scale + GAP, height * scale + GAP);
    let mut picture = Picture::new(columns * cell_width - GAP, count.div_ceil(columns) * cell_height - GAP);
    let byte = |value: f32| (255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0)).round() as u8;
    for (i, image) in images.chunks_exact(size).enumerate() {
        let (left, top) = (i % columns * cell_width, i / columns * cell_height);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let color = [0, 1, 2].map(|c| byte(image[(c.min(channels - 1) * height + y) * width + x]));
            picture.square(left + x * scale, top + y * scale, scale, color);
        }
    }
    Ok(picture)
}

/// Puts pictures side by side, each below its label, on a white ground. A long label widens its column.
///
/// # Errors
/// [`Error::Invalid`] if there is no picture, or one whose `rgb` does not have `3 · width · height` bytes.
pub fn side_by_side(pictures: &[(&str, Picture)]) -> Result<Picture> {
    if pictures.is_empty() {
        return Err(Error::Invalid("no picture to put side by side".into()));
    }
    if let Some((label, p)) = pictures.iter().find(|(_, p)| p.rgb.len() != 3 * p.width * p.height) {
        return Err(Error::Invalid(format!("picture `{label}` is not {}×{} RGB", p.width, p.height)));
    }
    let column = |label: &str, p: &Picture| p.width.max(LETTER * font::ADVANCE * label.chars().count());
    let top = 2 * MARGIN + LETTER * font::HEIGHT;
    let width: usize = pictures.iter().map(|(label, p)| column(label, p) + GUTTER).sum();
    let height = pictures.iter().map(|(_, p)| p.height).max().unwrap_or(0);
    let mut all = Picture::new(width - GUTTER + 2 * MARGIN, top + height + MARGIN);
    let mut x = MARGIN;
    for (label, picture) in pictures {
        all.text(x, MARGIN, label);
        all.paste(x, top, picture);
        x += column(label, picture) + GUTTER;
    }
    Ok(all)
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
    fn a_png_reads_back_unchanged() {
        let values: Vec<f32> = (0..48).map(|i| i as f32 / 47.0).collect();
        let picture = grid(&values, [3, 4, 4], 1, 2, (0.0, 1.0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture");
        picture.save_png(&file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let back = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!((back.width() as usize, back.height() as usize), (picture.width, picture.height));
        assert_eq!(back.into_raw(), picture.rgb);
    }

    #[test]
    fn grids_stand_side_by_side_below_their_labels() {
        let black = grid(&[0.0; 400], [1, 20, 20], 1, 1, (0.0, 1.0)).unwrap();
        let both = side_by_side(&[("I", black.clone()), ("LONG", black)]).unwrap();
        assert_eq!(both.width, 2 * MARGIN + 20 + GUTTER + 4 * font::ADVANCE * LETTER);
        let dark = both.rgb.chunks_exact(3).filter(|p| *p == BLACK).count();
        let letters: u32 = "ILONG".chars().flat_map(font::columns).map(u8::count_ones).sum();
        assert_eq!(dark, 800 + LETTER * LETTER * letters as usize);
    }

    #[test]
    fn bad_arguments_are_errors() {
        assert!(grid(&[], [1, 1, 1], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 3], [1, 1, 2], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 4], [2, 1, 2], 1, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 2], [1, 1, 2], 0, 1, (0.0, 1.0)).is_err());
        assert!(grid(&[0.0; 2], [1, 1, 2], 1, 1, (1.0, f32::NAN)).is_err());
        assert!(side_by_side(&[]).is_err());
        let missing = grid(&[0.0], [1, 1, 1], 1, 1, (0.0, 1.0)).unwrap().save_png("/nonexistent/x.png");
        assert!(matches!(missing, Err(Error::Io { .. })));
    }
}
