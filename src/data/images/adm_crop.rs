//! ADM's central square, which SiT, REPA and RAE train on: halve while the short side is ≥ 2·size, resize it to size, cut.
//!
//! Halving is Pillow's box filter, resizing its bicubic filter with antialias. REPA's dataset tool calls the same
//! `center-crop-dhariwal`. Equal to Pillow to the last byte.
use super::pillow::{Filter, resize};
use crate::{Error, Result};
use image::RgbImage;

/// The central square of a picture as ADM's `center_crop_arr` cuts it, `[size, size, 3]` bytes.
///
/// While the short side is at least `2·size`, both sides are halved, rounded down, by a box filter. Then the short side
/// is resized to `size` by an antialiased bicubic filter (a = −½), and the long side by as much, rounded half to even. Of
/// what stands out, half, rounded down, is cut from the left or the top, the rest from the right or the bottom. Smaller
/// pictures are enlarged. The bytes are those of Pillow.
///
/// # Arguments
/// - `rgb`: the bytes `[height, width, 3]`.
/// - `sides`: width and height in pixels.
/// - `size`: the side of the square, in 1..=16384.
///
/// # Errors
/// [`Error::Invalid`] if a side is 0, `size` is out of range, or there are not `3·width·height` bytes.
pub fn adm_crop(rgb: Vec<u8>, [width, height]: [usize; 2], size: usize) -> Result<Vec<u8>> {
    let bytes = rgb.len();
    let sides = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let fits = width > 0 && height > 0 && width.checked_mul(height).and_then(|n| n.checked_mul(3)) == Some(bytes);
    let picture = sides.filter(|_| fits).and_then(|(width, height)| RgbImage::from_raw(width, height, rgb));
    let Some(picture) = picture else {
        let must = "must be three for each pixel, and at least one pixel";
        return Err(Error::Invalid(format!("{bytes} bytes for {width} × {height} pixels: {must}")));
    };
    if !(1..=LARGEST).contains(&size) {
        return Err(Error::Invalid(format!("a square of {size} pixels: must be in 1..={LARGEST}")));
    }
    Ok(central_square(picture, size).into_raw())
}

/// The largest square: its bytes fill three quarters of a gigabyte.
const LARGEST: usize = 1 << 14;

/// As [`adm_crop`], of a picture that has pixels.
pub(in crate::data) fn central_square(mut picture: RgbImage, size: usize) -> RgbImage {
    let sides = |picture: &RgbImage| [picture.width(), picture.height()].map(|side| side as usize);
    let short = |[width, height]: [usize; 2]| width.min(height);
    while short(sides(&picture)) >= 2 * size {
        let [width, height] = sides(&picture).map(|side| side / 2);
        picture = resize(&picture, [width, height], [0..width, 0..height], Filter::Box);
    }
    let scale = size as f64 / short(sides(&picture)) as f64;
    let resized = sides(&picture).map(|side| (side as f64 * scale).round_ties_even() as usize);
    let kept = resized.map(|side| (side - size) / 2..(side - size) / 2 + size);
    resize(&picture, resized, kept, Filter::Bicubic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_of_the_size_is_unchanged_and_the_centre_is_kept() {
        let square: Vec<u8> = (0..3 * 64).map(|i| (i * 7 % 256) as u8).collect();
        assert_eq!(adm_crop(square.clone(), [8, 8], 8).unwrap(), square);
        // Columns 2 to 9 of 13: five are cut, two of them from the left.
        let wide: Vec<u8> = (0..8).flat_map(|_| (0..13).flat_map(|x| [x, x, x])).collect();
        let kept = adm_crop(wide, [13, 8], 8).unwrap();
        assert_eq!(kept[..24], [2, 3, 4, 5, 6, 7, 8, 9].map(|x| [x; 3]).concat());
    }

    #[test]
    fn a_thin_picture_takes_no_room_for_what_is_cut() {
        let line = vec![9; 3 * 60_000];
        assert_eq!(adm_crop(line, [60_000, 1], 256).unwrap(), vec![9; 3 * 256 * 256]);
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        for (bytes, sides, size) in [(0, [0, 4], 4), (11, [2, 2], 4), (12, [2, 2], 0), (12, [2, 2], 20_000)] {
            assert!(matches!(adm_crop(vec![0; bytes], sides, size), Err(Error::Invalid(_))), "{sides:?} to {size}");
        }
        assert!(adm_crop(vec![0; 12], [usize::MAX, usize::MAX], 4).is_err());
    }
}
