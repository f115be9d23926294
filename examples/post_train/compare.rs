//! Samples the arms and measures their distance to held-out images.
use crate::{image_range, pictures};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_mixflow::config::RunConfig;
use burn_mixflow::data::{DataSplit, ImageSet, Picture, grid};
use burn_mixflow::evaluate::{FeatureExtractor, Moments, Pixels, RandomConvolutions, frechet_distance};
use burn_mixflow::models::Network;
use burn_mixflow::path::TrainingInterval;
use burn_mixflow::random::{Purpose, SampleKey};
use burn_mixflow::sample::Sampler;
use burn_mixflow::{Error, Result};
use rand::RngExt;

/// The metrics, by their names in `results.json`.
pub const METRICS: [&str; 3] = ["frechet_random_convolutions", "frechet_pixels", "frechet_texture"];

/// The distances of one arm at one step count and seed, one per metric.
#[derive(Debug, Clone)]
pub struct Score {
    pub arm: String,
    pub seed: u64,
    pub steps: usize,
    pub evaluations: usize,
    pub distances: [f64; 3],
}

/// The reference statistics and how to sample.
pub struct Comparison<'a> {
    config: &'a RunConfig,
    data: &'a DataSplit,
    device: &'a Device,
    features: [Box<dyn FeatureExtractor>; 3],
    reference: Vec<Moments>,
}

impl<'a> Comparison<'a> {
    pub fn new(config: &'a RunConfig, data: &'a DataSplit, device: &'a Device) -> Result<Self> {
        let convolutions = RandomConvolutions::new(config.evaluate.feature_seed, data.shape[0], device)?;
        let texture = RandomConvolutions::texture(config.evaluate.feature_seed, data.shape[0], device)?;
        let features: [Box<dyn FeatureExtractor>; 3] =
            [Box::new(convolutions), Box::new(Pixels { shape: data.shape }), Box::new(texture)];
        let mut this = Self { config, data, device, features, reference: Vec::new() };
        this.reference = this.moments(data.held_out.pixels())?;
        Ok(this)
    }

    pub fn config(&self) -> &RunConfig {
        self.config
    }

    fn images(&self, pixels: &[f32]) -> Tensor<4> {
        let [channels, height, width] = self.data.shape;
        let count = pixels.len() / (channels * height * width);
        Tensor::from_data(TensorData::new(pixels.to_vec(), [count, channels, height, width]), self.device)
    }

    fn moments(&self, pixels: &[f32]) -> Result<Vec<Moments>> {
        let size: usize = self.data.shape.iter().product();
        let of = |features: &dyn FeatureExtractor| {
            let mut moments = Moments::new(features.dimensions());
            for batch in pixels.chunks(size * 500) {
                moments.push_tensor(features.extract(self.images(batch))?)?;
            }
            Ok(moments)
        };
        self.features.iter().map(|f| of(f.as_ref())).collect()
    }

    fn distances(&self, pixels: &[f32]) -> Result<[f64; 3]> {
        let moments = self.moments(pixels)?;
        let distance = |i: usize| frechet_distance(&moments[i], &self.reference[i]);
        Ok([distance(0)?, distance(1)?, distance(2)?])
    }

    /// How far real training images are from the held-out ones: no model can be expected to do better.
    pub fn floor(&self, train: &ImageSet) -> Result<Score> {
        let size: usize = self.data.shape.iter().product();
        let count = self.config.evaluate.samples.min(train.pixels().len() / size);
        let distances = self.distances(&train.pixels()[..count * size])?;
        Ok(Score { arm: "training images".into(), seed: 0, steps: 0, evaluations: 0, distances })
    }

    /// The distances at every step count, with the samples' pixels.
    pub fn scores(&self, arm: &str, network: &Network, seed: u64) -> Result<Vec<(Score, Vec<f32>)>> {
        let one = |&steps: &usize| {
            let (pixels, evaluations) = self.sample(network, seed, steps, self.config.evaluate.samples)?;
            let distances = self.distances(&pixels)?;
            Ok((Score { arm: arm.into(), seed, steps, evaluations, distances }, pixels))
        };
        self.config.evaluate.steps.iter().map(one).collect()
    }

    /// A small grid for TensorBoard.
    pub fn preview(&self, network: &Network, seed: u64) -> Result<Picture> {
        let steps = pictures::steps_to_show(&self.config.evaluate.steps);
        let (pixels, _) = self.sample(network, seed, steps, 64)?;
        grid(&pixels, self.data.shape, 8, 4, image_range(self.data))
    }

    fn sample(&self, network: &Network, seed: u64, steps: usize, count: usize) -> Result<(Vec<f32>, usize)> {
        let evaluate = &self.config.evaluate;
        let config = evaluate.sampler(steps);
        let evaluations = config.evaluations();
        let interval = TrainingInterval::sampling(self.config.path, self.config.prediction);
        let sampler = Sampler::new(config, self.config.path.build(), self.config.prediction, interval)?;
        let [channels, height, width] = self.data.shape;
        let labels = self.labels(seed, count);
        let samples =
            sampler.sample(network, &labels, [count, channels, height, width], seed, self.device, &mut |_| ())?;
        let pixels = samples.into_data().try_to_vec::<f32>().map_err(|e| Error::Invalid(format!("samples: {e:?}")))?;
        Ok((pixels, evaluations))
    }

    /// Labels in the proportions of the held-out images, the same for every arm.
    fn labels(&self, seed: u64, count: usize) -> Tensor<1, Int> {
        let real = self.data.held_out.labels();
        let label = |position: usize| {
            let key = SampleKey { seed, epoch: 0, position: position as u64 };
            real[key.rng(Purpose::GenerationCondition).random_range(0..real.len())]
        };
        let labels: Vec<i64> = (0..count).map(label).collect();
        Tensor::from_data(TensorData::new(labels, [count]), self.device)
    }
}
