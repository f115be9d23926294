//! Samples the arms and measures their distance to held-out images.
use crate::image_range;
use crate::stage::Experiment;
use crate::table::FLOOR;
use burn::tensor::{Int, Tensor, TensorData};
use burn_mixflow::data::{Picture, grid};
use burn_mixflow::evaluate::{FeatureExtractor, Moments, Pixels, RandomConvolutions, frechet_distance};
use burn_mixflow::models::Network;
use burn_mixflow::path::TrainingInterval;
use burn_mixflow::random::{Purpose, SampleKey};
use burn_mixflow::sample::Sampler;
use burn_mixflow::{Error, Result};
use rand::RngExt;

/// The metrics: their names in `results.json` and their titles in the table.
pub const METRICS: [(&str, &str); 3] = [
    ("frechet_random_convolutions", "64 fixed random convolution features"),
    ("frechet_pixels", "Pixels"),
    ("frechet_texture", "Texture: the same filters, zero-mean"),
];

/// The distances of one arm at one step count and seed, one per metric.
#[derive(Debug, Clone)]
pub struct Score {
    pub arm: String,
    pub seed: u64,
    pub steps: usize,
    pub distances: [f64; 3],
}

/// The reference statistics and how to sample.
pub struct Comparison<'a> {
    experiment: Experiment<'a>,
    features: [Box<dyn FeatureExtractor>; 3],
    reference: Vec<Moments>,
}

impl<'a> Comparison<'a> {
    pub fn new(experiment: Experiment<'a>) -> Result<Self> {
        let Experiment { config, data, device } = experiment;
        let convolutions = RandomConvolutions::new(config.evaluate.feature_seed, data.shape[0], device)?;
        let texture = RandomConvolutions::texture(config.evaluate.feature_seed, data.shape[0], device)?;
        let features: [Box<dyn FeatureExtractor>; 3] =
            [Box::new(convolutions), Box::new(Pixels { shape: data.shape }), Box::new(texture)];
        let mut this = Self { experiment, features, reference: Vec::new() };
        this.reference = this.moments(data.held_out.pixels())?;
        Ok(this)
    }

    fn images(&self, pixels: &[f32]) -> Tensor<4> {
        let [channels, height, width] = self.experiment.data.shape;
        let count = pixels.len() / (channels * height * width);
        Tensor::from_data(TensorData::new(pixels.to_vec(), [count, channels, height, width]), self.experiment.device)
    }

    fn moments(&self, pixels: &[f32]) -> Result<Vec<Moments>> {
        let size: usize = self.experiment.data.shape.iter().product();
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
    pub fn floor(&self) -> Result<Score> {
        let Experiment { config, data, .. } = self.experiment;
        let size: usize = data.shape.iter().product();
        let pixels = data.train.pixels();
        let distances = self.distances(&pixels[..pixels.len().min(config.evaluate.samples * size)])?;
        Ok(Score { arm: FLOOR.into(), seed: 0, steps: 0, distances })
    }

    /// The distances at every step count, with the samples' pixels.
    pub fn scores(&self, arm: &str, network: &Network, seed: u64) -> Result<Vec<(Score, Vec<f32>)>> {
        let one = |&steps: &usize| {
            let pixels = self.sample(network, seed, steps, self.experiment.config.evaluate.samples)?;
            let distances = self.distances(&pixels)?;
            Ok((Score { arm: arm.into(), seed, steps, distances }, pixels))
        };
        self.experiment.config.evaluate.steps.iter().map(one).collect()
    }

    /// The step count that pictures show: 10 if it is measured, else the middle one.
    pub fn steps_to_show(&self) -> usize {
        let steps = &self.experiment.config.evaluate.steps;
        if steps.contains(&10) { 10 } else { steps[steps.len() / 2] }
    }

    /// A small grid for TensorBoard.
    pub fn preview(&self, network: &Network, seed: u64) -> Result<Picture> {
        let pixels = self.sample(network, seed, self.steps_to_show(), 64)?;
        grid(&pixels, self.experiment.data.shape, 8, 4, image_range(self.experiment.data))
    }

    fn sample(&self, network: &Network, seed: u64, steps: usize, count: usize) -> Result<Vec<f32>> {
        let Experiment { config, data, device } = self.experiment;
        let interval = TrainingInterval::sampling(config.path, config.prediction);
        let sampler = Sampler::new(config.evaluate.sampler(steps), config.path.build(), config.prediction, interval)?;
        let [channels, height, width] = data.shape;
        let labels = self.labels(seed, count);
        let samples =
            sampler.sample(network, &labels.into(), [count, channels, height, width], seed, device, &mut |_| ())?;
        samples.into_data().try_to_vec::<f32>().map_err(|e| Error::Invalid(format!("samples: {e:?}")))
    }

    /// Labels in the proportions of the held-out images, the same for every arm.
    fn labels(&self, seed: u64, count: usize) -> Tensor<1, Int> {
        let real = self.experiment.data.held_out.labels();
        let label = |position: usize| {
            let key = SampleKey { seed, epoch: 0, position: position as u64 };
            real[key.rng(Purpose::GenerationCondition).random_range(0..real.len())]
        };
        let labels: Vec<i64> = (0..count).map(label).collect();
        Tensor::from_data(TensorData::new(labels, [count]), self.experiment.device)
    }
}
