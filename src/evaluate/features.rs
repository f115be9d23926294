//! What of an image is compared: its pixels, or its response to fixed random convolutions.
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

/// Turns images into feature vectors.
pub trait FeatureExtractor {
    /// Length of a feature vector.
    fn dimensions(&self) -> usize;

    /// Features `[batch, dimensions]` of `images` `[batch, channels, height, width]`.
    /// # Errors
    /// [`Error::Invalid`] for images of an unsuitable shape.
    fn extract(&self, images: Tensor<4>) -> Result<Tensor<2>>;
}

/// The pixels themselves, as one vector per image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels {
    /// Channels, height and width of the images.
    pub shape: [usize; 3],
}

impl FeatureExtractor for Pixels {
    fn dimensions(&self) -> usize {
        self.shape.iter().product()
    }

    fn extract(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        let [_, channels, height, width] = images.dims();
        let (found, expected) = ([channels, height, width], self.shape);
        if found != expected {
            return Err(Error::Invalid(format!("images of shape {found:?}: must be {expected:?}")));
        }
        Ok(images.flatten(1, 3))
    }
}

/// Fixed random convolution features: feature `k` is the mean over all positions of `relu(w_k ∗ image)`.
///
/// The filters `w_k` are 5×5 over all channels, with normal entries of variance 1/size, each from its own key,
/// without padding. They need no weights file and are the same on every machine; distances on them rank models
/// of one data set but are not comparable with an FID on Inception features. [`RandomConvolutions::texture`]
/// makes every filter zero-mean, so that brightness and slow gradients do not count.
#[derive(Debug, Clone)]
pub struct RandomConvolutions {
    filters: Tensor<4>,
}

impl RandomConvolutions {
    /// Filters, and thus features.
    pub const FILTERS: usize = 64;
    /// Height and width of a filter, and the least size of an image.
    pub const SIZE: usize = 5;

    /// The filters of `seed` for images with `channels` channels.
    /// # Errors
    /// [`Error::Invalid`] for no channels.
    pub fn new(seed: u64, channels: usize, device: &Device) -> Result<Self> {
        Self::with(seed, channels, device, |_| ())
    }

    /// The same filters with their mean taken out: they answer to edges, texture and noise alone.
    /// # Errors
    /// [`Error::Invalid`] for no channels.
    pub fn texture(seed: u64, channels: usize, device: &Device) -> Result<Self> {
        Self::with(seed, channels, device, |filter| {
            let mean = filter.iter().sum::<f32>() / filter.len() as f32;
            filter.iter_mut().for_each(|w| *w -= mean);
        })
    }

    fn with(seed: u64, channels: usize, device: &Device, change: impl Fn(&mut [f32])) -> Result<Self> {
        if channels == 0 {
            return Err(Error::Invalid("0 channels: must be at least 1".into()));
        }
        let shape = [Self::FILTERS, channels, Self::SIZE, Self::SIZE];
        let keys: Vec<_> = (0..Self::FILTERS as u64).map(|position| SampleKey { seed, epoch: 0, position }).collect();
        let mut values: Vec<f32> = normal(&keys, Purpose::Features, &shape[1..]).iter().collect();
        let size = channels * Self::SIZE * Self::SIZE;
        values.iter_mut().for_each(|w| *w /= (size as f32).sqrt());
        values.chunks_exact_mut(size).for_each(change);
        Ok(Self { filters: Tensor::from_data(TensorData::new(values, shape), device) })
    }
}

impl FeatureExtractor for RandomConvolutions {
    fn dimensions(&self) -> usize {
        Self::FILTERS
    }

    fn extract(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        let [batch, channels, height, width] = images.dims();
        let ([_, expected, ..], least) = (self.filters.dims(), Self::SIZE);
        if channels != expected || height < least || width < least {
            let found = [channels, height, width];
            let message =
                format!("images of shape {found:?}: must have {expected} channels and at least {least}×{least} pixels");
            return Err(Error::Invalid(message));
        }
        let responses = relu(conv2d(images, self.filters.clone(), None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)));
        Ok(responses.flatten::<3>(2, 3).mean_dim(2).reshape([batch, Self::FILTERS]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(shape: [usize; 4]) -> Tensor<4> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| ((i * i * 31) % 97) as f32 / 97.0).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn features(seed: u64, images: Tensor<4>) -> Vec<f32> {
        let bank = RandomConvolutions::new(seed, images.dims()[1], &Device::flex()).unwrap();
        bank.extract(images).unwrap().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn pixels_are_flattened_in_order() {
        let pixels = Pixels { shape: [2, 3, 4] };
        let given = images([5, 2, 3, 4]);
        let found = pixels.extract(given.clone()).unwrap();
        assert_eq!(found.dims(), [5, pixels.dimensions()]);
        assert_eq!(found.into_data().try_to_vec::<f32>().unwrap(), given.into_data().try_to_vec::<f32>().unwrap());
        assert!(pixels.extract(images([5, 3, 2, 4])).is_err());
    }

    #[test]
    fn the_formula_holds_on_one_window() {
        let image = images([1, 3, 5, 5]);
        let bank = RandomConvolutions::new(4, 3, &Device::flex()).unwrap();
        let pixels: Vec<f32> = image.clone().into_data().try_to_vec().unwrap();
        let filters: Vec<f32> = bank.filters.clone().into_data().try_to_vec().unwrap();
        let found: Vec<f32> = bank.extract(image).unwrap().into_data().try_to_vec().unwrap();
        assert!(found.contains(&0.0) && found.iter().any(|f| *f > 0.1));
        for (filter, found) in filters.chunks(75).zip(found) {
            let expected = filter.iter().zip(&pixels).map(|(w, x)| w * x).sum::<f32>().max(0.0);
            assert!((expected - found).abs() < 1e-5);
        }
        let variance = filters.iter().map(|w| w * w).sum::<f32>() / filters.len() as f32;
        assert!((variance * 75.0 - 1.0).abs() < 0.05, "the mean square is 1/size: {variance}");
    }

    #[test]
    fn texture_does_not_see_brightness() {
        let bank = |make: fn(u64, usize, &Device) -> Result<RandomConvolutions>| make(4, 1, &Device::flex()).unwrap();
        let of = |bank: &RandomConvolutions, image: Tensor<4>| {
            bank.extract(image).unwrap().into_data().try_to_vec::<f32>().unwrap()
        };
        let (dark, bright) = (images([1, 1, 8, 8]), images([1, 1, 8, 8]) + 1.0);
        let difference = |bank: RandomConvolutions| {
            let pairs = of(&bank, dark.clone()).into_iter().zip(of(&bank, bright.clone()));
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(difference(bank(RandomConvolutions::texture)) < 1e-5);
        assert!(difference(bank(RandomConvolutions::new)) > 0.1);
    }

    #[test]
    fn any_size_and_channel_count_works_and_only_the_seed_chooses_the_filters() {
        for shape in [[2, 1, 5, 9], [1, 3, 32, 32], [3, 4, 8, 6]] {
            assert_eq!(features(1, images(shape)).len(), shape[0] * RandomConvolutions::FILTERS);
        }
        assert_eq!(features(1, images([1, 3, 8, 8])), features(1, images([1, 3, 8, 8])));
        assert_ne!(features(1, images([1, 3, 8, 8])), features(2, images([1, 3, 8, 8])));
    }

    #[test]
    fn unsuitable_images_are_errors() {
        let bank = RandomConvolutions::new(0, 3, &Device::flex()).unwrap();
        assert!(bank.extract(images([1, 3, 4, 8])).is_err());
        assert!(bank.extract(images([1, 1, 8, 8])).is_err());
        assert!(RandomConvolutions::new(0, 0, &Device::flex()).is_err());
    }
}
