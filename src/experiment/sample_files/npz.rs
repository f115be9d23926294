//! Pictures in one `.npz`, as `numpy.savez` writes it: a ZIP archive of `.npy` files that are not compressed.
use crate::data::images::upright;
use crate::data::npy;
use crate::{Error, Result, storage};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Writes the pictures `[n, height, width, 3]`, one after the other, and the classes `[n]` if they are given.
///
/// # Errors
/// [`Error::Format`] naming a picture that does not decode to this size; [`Error::Io`].
pub(super) fn write(
    file: &Path,
    shape: [usize; 4],
    picture: impl Fn(usize) -> PathBuf,
    classes: Option<&[i64]>,
) -> Result<()> {
    let [count, height, width, _] = shape;
    let mut unreadable = None;
    let written = storage::write_with(file, |scratch| {
        let mut archive = ZipWriter::new(BufWriter::new(File::create(scratch)?));
        begin(&mut archive, "arr_0.npy", shape.iter().product())?;
        archive.write_all(&npy::header_of("|u1", &shape))?;
        for index in 0..count {
            match pixels(&picture(index), [height, width]) {
                Ok(bytes) => archive.write_all(&bytes)?,
                Err(error) => {
                    unreadable = Some(error);
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        if let Some(classes) = classes {
            begin(&mut archive, "arr_1.npy", 8 * classes.len())?;
            archive.write_all(&npy::header_of("<i8", &[classes.len()]))?;
            classes.iter().try_for_each(|class| archive.write_all(&class.to_le_bytes()))?;
        }
        archive.finish()?.flush()
    });
    unreadable.map_or(written, Err)
}

/// Archives have 32-bit lengths unless more is asked for.
fn begin(archive: &mut ZipWriter<BufWriter<File>>, name: &str, bytes: usize) -> io::Result<()> {
    let is_large = bytes >= 1 << 31;
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(is_large);
    Ok(archive.start_file(name, options)?)
}

fn pixels(file: &Path, [height, width]: [usize; 2]) -> Result<Vec<u8>> {
    let picture = upright(file).map_err(|message| Error::format(file, message))?;
    if [picture.height() as usize, picture.width() as usize] != [height, width] {
        let (found, there) = (picture.width(), picture.height());
        return Err(Error::format(file, format!("has {found} × {there} pixels: must be {width} × {height}")));
    }
    Ok(picture.into_raw())
}
