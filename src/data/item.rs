//! One image and its label, and a set of them that is cheap to clone.
use crate::{Error, Result};
use burn::data::dataset::{Dataset, DatasetError};
use std::sync::Arc;

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageItem {
    /// `C·H·W` values in row-major `[C, H, W]` order, in `[-1, 1]` times the scale of the data set.
    pub pixels: Vec<f32>,
    /// The class; 0 in a data set without labels.
    pub label: i64,
}

/// Images of one shape, in memory. A clone shares the pixels.
#[derive(Debug, Clone)]
pub struct ImageSet {
    shape: [usize; 3],
    pixels: Arc<[f32]>,
    labels: Arc<[i64]>,
}

impl ImageSet {
    /// A set of `labels.len()` images of `shape = [C, H, W]`, one after the other in `pixels`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a side of `shape` is 0 or `pixels` does not hold one image per label.
    pub fn new(shape: [usize; 3], pixels: Vec<f32>, labels: Vec<i64>) -> Result<Self> {
        let size: usize = shape.iter().product();
        if size == 0 || pixels.len() != size * labels.len() {
            return Err(Error::Invalid(format!(
                "{} pixels are not {} images of shape {shape:?}",
                pixels.len(),
                labels.len()
            )));
        }
        Ok(Self { shape, pixels: pixels.into(), labels: labels.into() })
    }

    /// `[C, H, W]` of one image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// All pixels, `[len, C, H, W]` in row-major order.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The label of every image.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }
}

impl Dataset<ImageItem> for ImageSet {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        let size: usize = self.shape.iter().product();
        Ok(ImageItem { pixels: self.pixels[index * size..(index + 1) * size].to_vec(), label: self.labels[index] })
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_consecutive_slices_and_clones_share_them() {
        let set = ImageSet::new([1, 1, 2], vec![1., 2., 3., 4.], vec![7, 8]).unwrap();
        assert_eq!(set.get(1).unwrap(), ImageItem { pixels: vec![3., 4.], label: 8 });
        assert_eq!(set.len(), 2);
        assert!(std::ptr::eq(set.clone().pixels(), set.pixels()));
    }

    #[test]
    fn a_wrong_number_of_pixels_is_an_error() {
        assert!(ImageSet::new([1, 2, 2], vec![0.; 7], vec![0; 2]).is_err());
        assert!(ImageSet::new([1, 0, 2], vec![], vec![0; 2]).is_err());
    }
}
