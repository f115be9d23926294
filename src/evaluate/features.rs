//! What of an image is compared: its pixels, or its response to fixed random convolutions.
use super::windows::Filters;
use crate::host;
use crate::random::{Purpose, SampleKey, normal};
use crate::{Error, Result};
use burn::tensor::activation::relu;
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
/// makes every filter zero-mean, so that brightness and slow gradients do not count;
/// [`RandomConvolutions::with_texture`] is both in one pass.
#[derive(Debug, Clone)]
pub struct RandomConvolutions {
    channels: usize,
    /// `[filters, rows × columns × channels]`.
    ordered: Vec<f32>,
    /// The same as `[1, filters, rows × columns × channels]` on a device.
    filters: Tensor<3>,
}

/// Responses computed at once on a device.
const RESPONSES: usize = 1 << 19;

impl RandomConvolutions {
    /// Filters, and thus features.
    pub const FILTERS: usize = 64;
    /// Height and width of a filter, and the least size of an image.
    pub const SIZE: usize = 5;

    /// The filters of `seed` for images with `channels` channels.
    /// # Errors
    /// [`Error::Invalid`] for no channels.
    pub fn new(seed: u64, channels: usize, device: &Device) -> Result<Self> {
        Ok(Self::of(&filters(seed, channels)?, channels, device))
    }

    /// The same filters with their mean taken out: they answer to edges, texture and noise alone.
    /// # Errors
    /// [`Error::Invalid`] for no channels.
    pub fn texture(seed: u64, channels: usize, device: &Device) -> Result<Self> {
        Ok(Self::of(&zero_mean(filters(seed, channels)?, channels), channels, device))
    }

    /// The features of [`new`](Self::new), then those of [`texture`](Self::texture), for little more than the time of one.
    /// # Errors
    /// [`Error::Invalid`] for no channels.
    pub fn with_texture(seed: u64, channels: usize, device: &Device) -> Result<Self> {
        let mut both = filters(seed, channels)?;
        both.extend(zero_mean(both.clone(), channels));
        Ok(Self::of(&both, channels, device))
    }

    /// From filters by channel, row and column.
    fn of(filters: &[f32], channels: usize, device: &Device) -> Self {
        let window = Self::SIZE * Self::SIZE;
        let one = |filter: &[f32]| -> Vec<f32> {
            (0..filter.len()).map(|place| filter[place % channels * window + place / channels]).collect()
        };
        let ordered: Vec<f32> = filters.chunks_exact(channels * window).flat_map(one).collect();
        let shape = [1, filters.len() / (channels * window), channels * window];
        Self { channels, filters: Tensor::from_data(TensorData::new(ordered.clone(), shape), device), ordered }
    }

    /// `mean relu(w_k ∗ image)` by one matrix product over all windows, on any device.
    fn respond(&self, images: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = images.dims();
        let (rows, columns) = (height + 1 - Self::SIZE, width + 1 - Self::SIZE);
        let places = (0..Self::SIZE * Self::SIZE).map(|place| (place / Self::SIZE, place % Self::SIZE));
        let shifted = |(y, x): (usize, usize)| {
            let part = images.clone().slice([0..batch, 0..channels, y..y + rows, x..x + columns]);
            part.reshape([batch, channels, rows * columns])
        };
        let windows = Tensor::cat(places.map(shifted).collect(), 1);
        relu(self.filters.clone().matmul(windows)).mean_dim(2).reshape([batch, self.dimensions()])
    }
}

/// The normal filters, one after the other.
fn filters(seed: u64, channels: usize) -> Result<Vec<f32>> {
    if channels == 0 {
        return Err(Error::Invalid("0 channels: must be at least 1".into()));
    }
    let (count, size) = (RandomConvolutions::FILTERS, RandomConvolutions::SIZE);
    let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed, epoch: 0, position }).collect();
    let scale = ((channels * size * size) as f32).sqrt();
    Ok(normal(&keys, Purpose::Features, &[channels, size, size]).iter::<f32>().map(|w| w / scale).collect())
}

fn zero_mean(mut filters: Vec<f32>, channels: usize) -> Vec<f32> {
    for filter in filters.chunks_exact_mut(channels * RandomConvolutions::SIZE * RandomConvolutions::SIZE) {
        let mean = filter.iter().sum::<f32>() / filter.len() as f32;
        filter.iter_mut().for_each(|w| *w -= mean);
    }
    filters
}

impl FeatureExtractor for RandomConvolutions {
    fn dimensions(&self) -> usize {
        self.filters.dims()[1]
    }

    fn extract(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        let [batch, channels, height, width] = images.dims();
        let (expected, least) = (self.channels, Self::SIZE);
        if batch == 0 || channels != expected || height < least || width < least {
            let found = [channels, height, width];
            let must = format!("must have {expected} channels and at least {least}×{least} pixels");
            return Err(Error::Invalid(format!(
                "{batch} image(s) of shape {found:?}: must be at least one, and {must}"
            )));
        }
        if images.device() == Device::flex() {
            let values = host::values(images, "images")?;
            let filters = Filters { values: &self.ordered, size: Self::SIZE };
            let features = filters.mean_responses(&values, [channels, height, width]);
            return Ok(Tensor::from_data(TensorData::new(features, [batch, self.dimensions()]), &Device::flex()));
        }
        let of_one = self.dimensions() * (height + 1 - least) * (width + 1 - least);
        let together = (RESPONSES / of_one).max(1);
        let part = |start: usize| {
            let count = together.min(batch - start);
            self.respond(images.clone().narrow(0, start, count))
        };
        Ok(Tensor::cat((0..batch).step_by(together).map(part).collect(), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

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
        let filters = filters(4, 3).unwrap();
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
    fn windows_are_those_of_a_convolution_and_batches_do_not_matter() {
        for shape in [[90, 1, 16, 16], [3, 3, 7, 12]] {
            let (device, images) = (Device::flex(), images(shape));
            let weights = TensorData::new(filters(4, shape[1]).unwrap(), [64, shape[1], 5, 5]);
            let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
            let responses = conv2d(images.clone(), Tensor::from_data(weights, &device), None, options);
            let expected = relu(responses).flatten::<3>(2, 3).mean_dim(2).into_data().try_to_vec::<f32>().unwrap();
            for (expected, found) in expected.iter().zip(features(4, images)) {
                assert!((expected - found).abs() < 1e-5, "{expected} {found}");
            }
        }
    }

    #[test]
    fn a_cpu_and_other_devices_respond_alike() {
        for shape in [[2, 1, 16, 16], [2, 3, 32, 32], [1, 4, 5, 9], [1, 1, 6, 300]] {
            let (bank, images) =
                (RandomConvolutions::with_texture(2, shape[1], &Device::flex()).unwrap(), images(shape));
            let of_devices = bank.respond(images.clone()).into_data();
            let of_cpu = bank.extract(images).unwrap().into_data();
            of_cpu.assert_approx_eq::<f32>(&of_devices, burn::tensor::Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn both_kinds_in_one_pass_are_what_they_are_apart() {
        let (device, images) = (Device::flex(), images([3, 3, 9, 8]));
        let of = |bank: RandomConvolutions| bank.extract(images.clone()).unwrap().into_data();
        let apart = [RandomConvolutions::new, RandomConvolutions::texture].map(|make| of(make(4, 3, &device).unwrap()));
        let both = Tensor::<2>::from_data(of(RandomConvolutions::with_texture(4, 3, &device).unwrap()), &device);
        for (part, expected) in apart.iter().enumerate() {
            let found = both.clone().narrow(1, 64 * part, 64).into_data();
            found.assert_approx_eq::<f32>(expected, burn::tensor::Tolerance::absolute(1e-6));
        }
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
        assert!(bank.extract(Tensor::zeros([0, 3, 8, 8], &Device::flex())).is_err());
        assert!(RandomConvolutions::new(0, 0, &Device::flex()).is_err());
    }
}
