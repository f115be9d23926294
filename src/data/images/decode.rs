//! One picture: turned as its camera says, laid on white, cropped to its central square, resized.
//!
//! Resizing is that of the crate `image`, which decodes as well: its Lanczos filter widens with the reduction, and so
//! averages what would alias. `fast_image_resize` is several times faster, but pictures are resized once.
use super::animation::is_animated;
use super::jpeg;
use crate::data::mistaken::instead;
use image::imageops::{FilterType, crop_imm, resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// Bytes that a decoded picture may take: 170 million pixels in colour. A header can claim any size.
const MOST_BYTES: u64 = 512 << 20;

/// What a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub size: usize,
    /// 1 or 3.
    pub channels: usize,
}

impl Target {
    /// Bytes of one picture.
    pub fn bytes(&self) -> usize {
        self.channels * self.size * self.size
    }

    /// The bytes `[C, H, W]` of a file.
    pub fn decode(&self, file: &Path) -> Result<Vec<u8>, String> {
        upright(file).map(|picture| self.planes(&picture))
    }

    fn planes(&self, picture: &RgbImage) -> Vec<u8> {
        let (width, height) = picture.dimensions();
        let (side, size) = (width.min(height), self.size as u32);
        let square = crop_imm(picture, (width - side) / 2, (height - side) / 2, side, side).to_image();
        let square = if side == size { square } else { resize(&square, size, size, FilterType::Lanczos3) };
        match self.channels {
            1 => square.pixels().map(luma).collect(),
            _ => (0..3).flat_map(|channel| square.pixels().map(move |pixel| pixel.0[channel])).collect(),
        }
    }
}

/// The picture of a file: turned as its EXIF says, transparency laid on white.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn upright(file: &Path) -> Result<RgbImage, String> {
    let (mut picture, orientation) = read(file)?;
    picture.apply_orientation(orientation);
    Ok(on_white(picture))
}

/// The picture of a file as `Image.open(file).convert("RGB")` of Pillow gives it: not turned, and what is transparent shows
/// the colour that is stored there.
///
/// # Errors
/// What is wrong with the file.
pub(in crate::data) fn as_stored(file: &Path) -> Result<RgbImage, String> {
    read(file).map(|(picture, _)| picture.into_rgb8())
}

fn read(file: &Path) -> Result<(DynamicImage, Orientation), String> {
    let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
    // By its content: many pictures have the name of another format.
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * MOST_BYTES);
    reader.limits(limits);
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::WebP) => {}
        Some(ImageFormat::Jpeg) if jpeg::is_whole(&bytes) => {}
        Some(ImageFormat::Jpeg) => return Err("is cut short: the JPEG has no end".into()),
        _ => {
            let other = instead(&bytes).unwrap_or("is no picture that can be read");
            return Err(format!("{other}; must be PNG, JPEG or WebP"));
        }
    }
    if is_animated(&bytes) {
        return Err("is an animation: save one of its pictures".into());
    }
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let ((width, height), size) = (decoder.dimensions(), decoder.total_bytes());
    if width == 0 || height == 0 {
        return Err(format!("has {width} × {height} pixels"));
    }
    if size > MOST_BYTES {
        let (size, most) = (size >> 20, MOST_BYTES >> 20);
        return Err(format!("says that it has {width} × {height} pixels, {size} MiB: must be at most {most} MiB"));
    }
    let orientation = decoder.orientation().map_err(|e| e.to_string())?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    Ok((picture, orientation))
}

/// Eight bits a channel; what is transparent shows white.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut laid = RgbImage::new(picture.width(), picture.height());
    for (to, from) in laid.pixels_mut().zip(picture.pixels()) {
        let [r, g, b, alpha] = from.0.map(u32::from);
        *to = Rgb([r, g, b].map(|v| ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    laid
}

/// The luma of BT.601, as of the shipped photos.
fn luma(pixel: &Rgb<u8>) -> u8 {
    let [r, g, b] = pixel.0.map(f32::from);
    (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    const COLOUR: Target = Target { size: 8, channels: 3 };

    #[test]
    fn a_picture_of_the_size_is_unchanged_and_planes_come_one_after_the_other() {
        let picture = RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8, y as u8, 200]));
        let planes = COLOUR.planes(&picture);
        assert_eq!((planes[1], planes[64 + 8], planes[128]), (1, 1, 200));
        assert_eq!(planes.len(), COLOUR.bytes());
        let grey = Target { channels: 1, ..COLOUR }.planes(&RgbImage::from_pixel(8, 8, Rgb([200, 100, 50])));
        assert_eq!(grey, [124; 64]);
    }

    #[test]
    fn the_central_square_is_kept() {
        let picture = RgbImage::from_fn(24, 8, |x, _| Rgb([if (8..16).contains(&x) { 255 } else { 0 }; 3]));
        assert_eq!(COLOUR.planes(&picture), [255; 192]);
        let tall = RgbImage::from_fn(16, 48, |_, y| Rgb([if (16..32).contains(&y) { 9 } else { 0 }; 3]));
        assert_eq!(COLOUR.planes(&tall), [9; 192]);
    }

    /// Fine stripes average to grey instead of to other stripes.
    #[test]
    fn resizing_does_not_alias() {
        let stripes = RgbImage::from_fn(256, 256, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        let planes = COLOUR.planes(&stripes);
        assert!(planes.iter().all(|v| (115..=140).contains(v)), "{planes:?}");
    }

    #[test]
    fn what_is_transparent_is_white() {
        let half = RgbaImage::from_fn(8, 8, |x, _| Rgba([0, 100, 200, [0, 255, 128][x as usize % 3]]));
        let laid = on_white(DynamicImage::ImageRgba8(half));
        let pixels = [0, 1, 2].map(|x| laid.get_pixel(x, 0).0);
        assert_eq!(pixels, [[255, 255, 255], [0, 100, 200], [127, 177, 227]]);
    }
}
