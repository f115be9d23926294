//! Samples networks and measures their distance to held-out data.
use super::Experiment;
use crate::data::{DataConfig, DataSet, DataSplit, Form, Picture, grid};
use crate::evaluate::{
    FeatureExtractor, FrechetReference, Moments, PairAverage, Pixels, RandomConvolutions, energy_distance_with,
};
use crate::models::Network;
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::{Sampler, SamplerConfig, VelocityField};
use crate::{Error, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

/// A distance: lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in `results.json`.
    pub name: &'static str,
    /// Its title in a table.
    pub title: &'static str,
    /// One word for it.
    pub short: &'static str,
}

const OF_IMAGES: [Metric; 3] = [
    Metric {
        name: "frechet_random_convolutions",
        title: "64 fixed random convolution features",
        short: "convolutions",
    },
    Metric { name: "frechet_pixels", title: "Pixels", short: "pixels" },
    Metric { name: "frechet_texture", title: "Texture: the same filters, zero-mean", short: "texture" },
];

/// The energy distance averages over all pairs, so that it is never negative and ratios mean something; it is too
/// large by `O(1/n)`, alike for all that is compared.
const OF_VECTORS: [Metric; 2] = [
    Metric { name: "energy_distance", title: "Energy distance", short: "energy" },
    Metric { name: "frechet_vectors", title: "Fréchet distance of the vectors themselves", short: "Fréchet" },
];

/// The distances of a kind of data.
pub(super) fn metrics(data: &DataConfig) -> &'static [Metric] {
    if data.form() == Form::Vectors { &OF_VECTORS } else { &OF_IMAGES }
}

/// Reference samples that the energy distance compares with, evenly chosen: its time grows with their square.
const MOST_FOR_PAIRS: usize = 4000;

/// Samples measured together, to bound the memory of features.
const BATCH: usize = 500;

/// The reference statistics of an experiment.
pub struct Comparison<'a> {
    experiment: &'a Experiment,
    metrics: &'static [Metric],
    pixels: Pixels,
    /// Plain and zero-mean filters; none for vectors.
    convolutions: Option<RandomConvolutions>,
    reference: Vec<FrechetReference>,
    /// Of the reference, what every sample is compared with one by one.
    for_pairs: Vec<f32>,
}

impl<'a> Comparison<'a> {
    /// Measures the held-out data, which samples are to be compared with. `feature_seed` is that of the random convolutions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two such samples.
    pub fn new(experiment: &'a Experiment, feature_seed: u64) -> Result<Self> {
        let Experiment { setting, data, device } = experiment;
        let (metrics, pixels) = (metrics(&setting.data), Pixels { shape: data.shape });
        let convolutions = (setting.data.form() != Form::Vectors)
            .then(|| RandomConvolutions::with_texture(feature_seed, data.shape[0], device))
            .transpose()?;
        let (reference, for_pairs) = (Vec::new(), Vec::new());
        let mut this = Self { experiment, metrics, pixels, convolutions, reference, for_pairs };
        this.reference =
            this.moments(&all(&data.held_out)?)?.iter().map(FrechetReference::new).collect::<Result<_>>()?;
        if setting.data.form() == Form::Vectors {
            this.for_pairs = evenly(&all(&data.held_out)?, this.size(), MOST_FOR_PAIRS);
        }
        Ok(this)
    }

    /// What [`distances`](Self::distances) measures: Fréchet distances for images, energy and Fréchet distance for vectors.
    pub fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    fn images(&self, pixels: &[f32]) -> Tensor<4> {
        let [channels, height, width] = self.experiment.data.shape;
        let count = pixels.len() / (channels * height * width);
        Tensor::from_data(TensorData::new(pixels.to_vec(), [count, channels, height, width]), &self.experiment.device)
    }

    fn size(&self) -> usize {
        self.experiment.data.shape.iter().product()
    }

    /// What the Fréchet distances are taken of, in the order of the metrics.
    fn features(&self, images: Tensor<4>) -> Result<Vec<Tensor<2>>> {
        let pixels = self.pixels.extract(images.clone())?;
        let Some(convolutions) = &self.convolutions else { return Ok(vec![pixels]) };
        let both = convolutions.extract(images)?;
        let half =
            |part: usize| both.clone().narrow(1, part * RandomConvolutions::FILTERS, RandomConvolutions::FILTERS);
        Ok(vec![half(0), pixels, half(1)])
    }

    fn moments(&self, pixels: &[f32]) -> Result<Vec<Moments>> {
        let convolved = self.convolutions.iter().map(|_| RandomConvolutions::FILTERS);
        let sizes = convolved.clone().chain([self.pixels.dimensions()]).chain(convolved);
        let mut moments: Vec<Moments> = sizes.map(Moments::new).collect();
        for batch in pixels.chunks(self.size() * BATCH) {
            for (moments, features) in moments.iter_mut().zip(self.features(self.images(batch))?) {
                moments.push_tensor(features)?;
            }
        }
        Ok(moments)
    }

    /// The distances of samples, one after the other in `values`, to the reference, one per metric.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two samples or values that are not finite.
    pub fn distances(&self, values: &[f32]) -> Result<Vec<f64>> {
        let mut distances = Vec::with_capacity(self.metrics.len());
        if self.experiment.setting.data.form() == Form::Vectors {
            distances.push(energy_distance_with(values, &self.for_pairs, self.size(), PairAverage::All)?);
        }
        for (moments, reference) in self.moments(values)?.iter().zip(&self.reference) {
            distances.push(reference.distance(moments)?);
        }
        Ok(distances)
    }

    /// How far `count` training samples are from the reference: no model can be expected to do better.
    ///
    /// # Errors
    /// As [`distances`](Self::distances).
    pub fn floor(&self, count: usize) -> Result<Vec<f64>> {
        let train = &self.experiment.data.train;
        self.distances(&train.values(&(0..train.len().min(count)).collect::<Vec<_>>())?)
    }

    /// The values of `count` samples, a function of the seed and not of the arm.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn sample(&self, network: &Network, sampler: &SamplerConfig, seed: u64, count: usize) -> Result<Vec<f32>> {
        let Experiment { setting, data, device } = self.experiment;
        let interval = TrainingInterval::sampling(setting.path, setting.prediction);
        let sampler = Sampler::new(sampler.clone(), setting.path.build(), setting.prediction, interval)?;
        let [channels, height, width] = data.shape;
        let labels = labels(data, seed, count, device);
        let samples =
            sampler.sample(network, &labels.into(), [count, channels, height, width], seed, device, &mut |_| ())?;
        samples.into_data().try_to_vec::<f32>().map_err(|e| Error::Invalid(format!("samples: {e:?}")))
    }

    /// As [`sample`](Self::sample), with a field in place of a network.
    ///
    /// # Errors
    /// As [`Sampler::integrate`].
    pub fn sample_field(
        &self,
        field: &dyn VelocityField<4>,
        sampler: &SamplerConfig,
        seed: u64,
        count: usize,
    ) -> Result<Vec<f32>> {
        let Experiment { setting, data, device } = self.experiment;
        let interval = TrainingInterval::sampling(setting.path, setting.prediction);
        let sampler = Sampler::new(sampler.clone(), setting.path.build(), setting.prediction, interval)?;
        let mut values = Vec::with_capacity(count * self.size());
        for start in (0..count).step_by(sampler.config().batch_size) {
            let end = count.min(start + sampler.config().batch_size);
            let draw = |epoch: usize, purpose| {
                let key = |i| SampleKey { seed, epoch: epoch as u64, position: i as u64 };
                let keys: Vec<_> = (start..end).map(key).collect();
                Tensor::<4>::from_data(normal(&keys, purpose, &data.shape), device)
            };
            let mut noise = |step| draw(step, Purpose::Diffusion);
            let state = sampler.integrate(field, draw(0, Purpose::InitialState), &mut noise, &mut |_| ())?;
            let state = state.into_data().try_to_vec::<f32>();
            values.extend(state.map_err(|e| Error::Invalid(format!("samples: {e:?}")))?);
        }
        Ok(values)
    }

    /// A small grid of samples for TensorBoard; none for vectors.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn preview(&self, network: &Network, sampler: &SamplerConfig, seed: u64) -> Result<Option<Picture>> {
        if self.experiment.setting.data.form() == Form::Vectors {
            return Ok(None);
        }
        let pixels = self.sample(network, sampler, seed, 64)?;
        grid(&pixels, self.experiment.data.shape, 8, 4, image_range(&self.experiment.data)?).map(Some)
    }
}

/// The values of all items.
fn all(set: &DataSet) -> Result<Vec<f32>> {
    set.values(&(0..set.len()).collect::<Vec<_>>())
}

/// At most `most` of the samples of `size` values, evenly chosen.
fn evenly(values: &[f32], size: usize, most: usize) -> Vec<f32> {
    let all = values.len() / size;
    let count = all.min(most);
    (0..count).flat_map(|i| &values[i * all / count * size..][..size]).copied().collect()
}

/// Labels in the proportions of the held-out images, the same for every arm.
fn labels(data: &DataSplit, seed: u64, count: usize, device: &Device) -> Tensor<1, Int> {
    let real = data.held_out.labels();
    let label = |position: usize| {
        let key = SampleKey { seed, epoch: 0, position: position as u64 };
        real[key.rng(Purpose::GenerationCondition).random_range(0..real.len())]
    };
    let labels: Vec<i64> = (0..count).map(label).collect();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}

/// The values drawn black and white: symmetric about 0, and wide enough for the held-out images.
///
/// # Errors
/// As [`DataSet::values`].
pub fn image_range(data: &DataSplit) -> Result<(f32, f32)> {
    let top = all(&data.held_out)?.iter().fold(0.0f32, |top, v| top.max(v.abs()));
    Ok((-top, top))
}
