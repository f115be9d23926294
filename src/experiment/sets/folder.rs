//! A folder of pictures of one size, decoded when they are asked for.
use crate::data::images::upright;
use crate::data::listing::{Listing, PICTURES};
use crate::{Error, Result};
use image::{ImageDecoder, ImageReader};
use rayon::prelude::*;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The pictures of a folder, sorted by name.
#[derive(Debug, Clone)]
pub(in crate::experiment) struct Pictures {
    pub files: Vec<PathBuf>,
    /// `[channels, height, width]`: 1 channel if all are grey, else 3.
    pub shape: [usize; 3],
}

/// What the header of a picture says.
#[derive(Debug, Clone, Copy)]
struct Header {
    colour: bool,
    height: u32,
    width: u32,
}

impl Pictures {
    /// Lists the pictures of a folder and of those within it, and reads their headers. Hidden files are none.
    pub fn list(folder: &Path) -> Result<Self> {
        let names = Listing::of(folder, &PICTURES)?.names;
        let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        // By folder, then by name: `a/z.png` stands before `a.png`.
        files.sort();
        let headers = files.par_iter().map(|file| header(file)).collect::<Result<Vec<_>>>()?;
        let Some(first) = headers.first() else {
            return Err(Error::format(folder, "holds no picture: must hold PNG, JPEG or WebP files"));
        };
        let size = |header: &Header| (header.height, header.width);
        if let Some(other) = headers.iter().position(|header| size(header) != size(first)) {
            let of = |i: usize| format!("{} of {}×{}", files[i].display(), headers[i].height, headers[i].width);
            let message = format!("holds {} and {}: all must be of one size", of(0), of(other));
            return Err(Error::format(folder, message));
        }
        let channels = if headers.iter().any(|header| header.colour) { 3 } else { 1 };
        Ok(Self { shape: [channels, first.height as usize, first.width as usize], files })
    }

    /// Some pictures, each `[height, width, channels]`: turned as EXIF says, transparency laid on white.
    pub fn decode(&self, range: Range<usize>) -> Result<Vec<Vec<u8>>> {
        let [channels, height, width] = self.shape;
        let decode = |file: &PathBuf| {
            let bytes = pixels(file, channels)?;
            let changed = || Error::format(file, "has another size than a moment ago");
            if bytes.len() == channels * height * width { Ok(bytes) } else { Err(changed()) }
        };
        self.files[range].par_iter().map(decode).collect()
    }
}

fn open(file: &Path) -> Result<impl ImageDecoder> {
    let reader = ImageReader::open(file).and_then(ImageReader::with_guessed_format).map_err(|e| Error::io(file, e))?;
    reader.into_decoder().map_err(|e| not_a_picture(file, &e))
}

fn header(file: &Path) -> Result<Header> {
    let mut decoder = open(file)?;
    let (mut width, mut height) = decoder.dimensions();
    let orientation = decoder.orientation().map_err(|e| not_a_picture(file, &e))?;
    // The four with a quarter turn have the codes 5 to 8 of EXIF.
    if orientation.to_exif() >= 5 {
        std::mem::swap(&mut width, &mut height);
    }
    Ok(Header { colour: decoder.color_type().has_color(), height, width })
}

fn pixels(file: &Path, channels: usize) -> Result<Vec<u8>> {
    let picture = upright(file).map_err(|message| not_a_picture(file, &message))?;
    // One channel is asked for only where all pictures are grey, so that their three are equal.
    Ok(if channels == 1 { picture.pixels().map(|pixel| pixel.0[0]).collect() } else { picture.into_raw() })
}

fn not_a_picture(file: &Path, reason: &dyn Display) -> Error {
    Error::format(file, format!("not a picture that can be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::png::PngEncoder;
    use image::{DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, LumaA, RgbImage, RgbaImage};

    #[test]
    fn all_kinds_of_pixels_at_any_depth_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("class");
        std::fs::create_dir(&inner).unwrap();
        std::fs::create_dir(folder.path().join(".checkpoints")).unwrap();
        RgbImage::from_pixel(3, 2, [1, 2, 3].into()).save(folder.path().join("b.PNG")).unwrap();
        RgbaImage::from_pixel(3, 2, [9, 9, 9, 0].into()).save(folder.path().join("c.png")).unwrap();
        let half = image::ImageBuffer::<LumaA<u8>, Vec<u8>>::from_pixel(3, 2, LumaA([0, 51]));
        half.save(inner.join("a.png")).unwrap();
        GrayImage::new(9, 9).save(folder.path().join(".checkpoints/d.png")).unwrap();
        std::fs::write(folder.path().join("labels.csv"), "").unwrap();
        let pictures = Pictures::list(folder.path()).unwrap();
        assert_eq!(pictures.shape, [3, 2, 3]);
        let decoded = pictures.decode(0..3).unwrap();
        assert_eq!(
            decoded.iter().map(|bytes| bytes[..3].to_vec()).collect::<Vec<_>>(),
            [[1, 2, 3], [255; 3], [204; 3]]
        );
        assert_eq!(Pictures::list(&inner).unwrap().shape, [1, 2, 3]);
    }

    #[test]
    fn a_turned_picture_lies_as_its_exif_says_and_webp_is_read() {
        let folder = tempfile::tempdir().unwrap();
        // Little-endian TIFF with one entry: orientation (0x0112), a short, 6: a quarter turn clockwise.
        let entry = [0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
        let exif = [b"II*\0\x08\0\0\0\x01\0".as_slice(), &entry, &[0; 4]].concat();
        let mut encoder = PngEncoder::new(std::fs::File::create(folder.path().join("a.png")).unwrap());
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&[10, 20, 30, 40, 50, 60], 3, 2, ExtendedColorType::L8).unwrap();
        let upright = GrayImage::from_raw(2, 3, vec![1, 2, 3, 4, 5, 6]).unwrap();
        DynamicImage::from(upright).into_rgb8().save(folder.path().join("b.webp")).unwrap();
        let pictures = Pictures::list(folder.path()).unwrap();
        assert_eq!(pictures.shape, [3, 3, 2]);
        let red = |bytes: &Vec<u8>| bytes.iter().step_by(3).copied().collect::<Vec<u8>>();
        let decoded = pictures.decode(0..2).unwrap();
        assert_eq!(decoded.iter().map(red).collect::<Vec<_>>(), [[40, 10, 50, 20, 60, 30], [1, 2, 3, 4, 5, 6]]);
    }

    #[test]
    fn two_sizes_damage_and_nothing_at_all_are_errors_that_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let says = |words: &[&str]| {
            let message = Pictures::list(folder.path()).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        };
        says(&["must hold PNG, JPEG or WebP"]);
        std::fs::write(folder.path().join("c.webp"), "text").unwrap();
        says(&["c.webp", "not a picture"]);
        std::fs::remove_file(folder.path().join("c.webp")).unwrap();
        GrayImage::new(3, 2).save(folder.path().join("a.png")).unwrap();
        GrayImage::new(2, 3).save(folder.path().join("b.png")).unwrap();
        says(&["a.png of 2×3", "b.png of 3×2", "one size"]);
    }

    /// Its header is whole, and the decoder would fill the rest with grey.
    #[test]
    fn a_jpeg_that_is_cut_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jpg");
        RgbImage::from_fn(32, 32, |x, y| image::Rgb([8 * x as u8, 8 * y as u8, 0])).save(&file).unwrap();
        let whole = std::fs::read(&file).unwrap();
        assert!(Pictures::list(folder.path()).unwrap().decode(0..1).is_ok());
        std::fs::write(&file, &whole[..whole.len() - 40]).unwrap();
        let message = Pictures::list(folder.path()).unwrap().decode(0..1).unwrap_err().to_string();
        assert!(message.contains("a.jpg") && message.contains("cut short"), "{message}");
    }
}
