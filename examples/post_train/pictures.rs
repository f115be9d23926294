//! The sample grids, side by side.
use burn_mixflow::Result;
use burn_mixflow::data::{DataSplit, Picture, grid, side_by_side as beside};
use burn_mixflow::experiment::image_range;

/// Held-out images and the samples of every arm from the same noise.
pub fn side_by_side(data: &DataSplit, arms: &[(String, Vec<f32>)]) -> Result<Picture> {
    let size: usize = data.shape.iter().product();
    let range = image_range(data)?;
    let picture = |pixels: &[f32]| grid(&pixels[..pixels.len().min(64 * size)], data.shape, 8, 3, range);
    let held_out: Vec<usize> = (0..data.held_out.len().min(64)).collect();
    let mut pictures = vec![("held out", picture(&data.held_out.values(&held_out)?)?)];
    for (name, pixels) in arms {
        pictures.push((name, picture(pixels)?));
    }
    beside(&pictures)
}
