//! Distances of samples to the data that arms are compared with.
use super::opened::Experiment;
use crate::data::{DataSplit, Form};
use crate::evaluate::{
    FeatureExtractor, FrechetReference, Moments, PairAverage, Pixels, RandomConvolutions, energy_distance_with,
};
use crate::models::NetworkCondition;
use crate::random::{Purpose, SampleKey};
use crate::{Error, Result};
use burn::data::dataset::Dataset;
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;

/// A distance: lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in `results.json`.
    pub name: &'static str,
    /// Its title in a table.
    pub title: &'static str,
}

const OF_PICTURES: [Metric; 3] = [
    Metric { name: "frechet_random_convolutions", title: "64 fixed random convolution features" },
    Metric { name: "frechet_pixels", title: "Pixels" },
    Metric { name: "frechet_texture", title: "Texture: the same filters, zero-mean" },
];

/// The energy distance averages over all pairs, so that it is never negative and ratios mean something; it is too
/// large by `O(1/n)`, alike for all that is compared.
const OF_VECTORS: [Metric; 2] = [
    Metric { name: "energy_distance", title: "Energy distance" },
    Metric { name: "frechet_vectors", title: "Fréchet distance of the vectors themselves" },
];

const OF_LATENTS: [Metric; 1] = [Metric { name: "energy_distance", title: "Energy distance of the latents" }];

/// The distances of a kind of data, the first the one to choose by.
pub fn metrics(form: Form) -> &'static [Metric] {
    match form {
        Form::Pictures => &OF_PICTURES,
        Form::Vectors => &OF_VECTORS,
        Form::Latents => &OF_LATENTS,
    }
}

/// Reference samples that the energy distance compares with, evenly chosen: its time grows with their square.
const MOST_FOR_PAIRS: usize = 4000;

/// Reference samples at most, evenly chosen.
const MOST: usize = 50_000;

/// Samples measured together, to bound the memory of features.
const BATCH: usize = 500;

/// The statistics of the data that arms are compared with.
pub struct Distances<'a> {
    experiment: &'a Experiment,
    data: &'a DataSplit,
    /// Plain and zero-mean filters; for pictures.
    convolutions: Option<RandomConvolutions>,
    reference: Vec<FrechetReference>,
    /// What every sample is compared with one by one; for vectors and latents.
    for_pairs: Vec<f32>,
    /// Places of the reference in the held-out data.
    places: Vec<usize>,
}

impl<'a> Distances<'a> {
    /// Measures the held-out part of `data`. Latents are as many as there are samples in a cell, each for one sample.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two such samples; what reading them reports.
    pub fn new(experiment: &'a Experiment, data: &'a DataSplit) -> Result<Self> {
        let compare = &experiment.config().compare;
        let form = experiment.config().data.form();
        let most = if form == Form::Latents { compare.samples } else { MOST };
        let places = evenly(data.held_out.len(), most);
        let convolutions = (form == Form::Pictures)
            .then(|| RandomConvolutions::with_texture(compare.feature_seed, data.shape[0], experiment.device()))
            .transpose()?;
        let (reference, for_pairs) = (Vec::new(), Vec::new());
        let mut this = Self { experiment, data, convolutions, reference, for_pairs, places };
        let values = data.held_out.values(&this.places)?;
        if form != Form::Latents {
            this.reference = this.moments(&values)?.iter().map(FrechetReference::new).collect::<Result<_>>()?;
        }
        if form != Form::Pictures {
            let size = this.size();
            let chosen = evenly(values.len() / size, MOST_FOR_PAIRS).into_iter();
            this.for_pairs = chosen.flat_map(|place| &values[place * size..(place + 1) * size]).copied().collect();
        }
        Ok(this)
    }

    /// What [`measure`](Self::measure) measures.
    pub fn metrics(&self) -> &'static [Metric] {
        metrics(self.form())
    }

    fn form(&self) -> Form {
        self.experiment.config().data.form()
    }

    fn size(&self) -> usize {
        self.data.shape.iter().product()
    }

    fn images(&self, values: &[f32]) -> Tensor<4> {
        let [channels, height, width] = self.data.shape;
        let shape = [values.len() / self.size(), channels, height, width];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), self.experiment.device())
    }

    /// What the Fréchet distances are taken of, in the order of the metrics.
    fn features(&self, images: Tensor<4>) -> Result<Vec<Tensor<2>>> {
        let pixels = Pixels { shape: self.data.shape }.extract(images.clone())?;
        let Some(convolutions) = &self.convolutions else { return Ok(vec![pixels]) };
        let both = convolutions.extract(images)?;
        let half =
            |part: usize| both.clone().narrow(1, part * RandomConvolutions::FILTERS, RandomConvolutions::FILTERS);
        Ok(vec![half(0), pixels, half(1)])
    }

    fn moments(&self, values: &[f32]) -> Result<Vec<Moments>> {
        let convolved = self.convolutions.iter().map(|_| RandomConvolutions::FILTERS);
        let pixels = Pixels { shape: self.data.shape }.dimensions();
        let sizes = convolved.clone().chain([pixels]).chain(convolved);
        let mut moments: Vec<Moments> = sizes.map(Moments::new).collect();
        for batch in values.chunks(self.size() * BATCH) {
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
    pub fn measure(&self, values: &[f32]) -> Result<Vec<f64>> {
        let mut distances = Vec::with_capacity(self.metrics().len());
        if self.form() != Form::Pictures {
            distances.push(energy_distance_with(values, &self.for_pairs, self.size(), PairAverage::All)?);
        }
        if self.form() != Form::Latents {
            for (moments, reference) in self.moments(values)?.iter().zip(&self.reference) {
                distances.push(reference.distance(moments)?);
            }
        }
        Ok(distances)
    }

    /// How far `count` training samples, evenly chosen, are from the reference: no model can be expected to do better.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn floor(&self, count: usize) -> Result<Vec<f64>> {
        let train = &self.data.train;
        self.measure(&train.values(&evenly(train.len(), count))?)
    }

    /// The conditions that `count` samples are generated for, the same for every arm: labels in the proportions of the
    /// reference; for latents, those of its items in turn.
    ///
    /// # Errors
    /// What reading the items reports.
    pub fn conditions(&self, seed: u64, count: usize) -> Result<NetworkCondition> {
        if self.form() == Form::Latents {
            let place = |i: usize| self.places[i % self.places.len()];
            let items = (0..count).map(|i| self.data.held_out.get(place(i))).collect::<Result<Vec<_>, _>>();
            return Ok(self.experiment.condition(items.map_err(|e| Error::Invalid(e.to_string()))?));
        }
        let real = self.data.held_out.labels();
        let label = |position: usize| {
            let key = SampleKey { seed, epoch: 0, position: position as u64 };
            real[key.rng(Purpose::GenerationCondition).random_range(0..real.len())]
        };
        let labels: Vec<i64> = (0..count).map(label).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), self.experiment.device());
        Ok(labels.into())
    }

    /// Samples that one cell needs: as many as there are latents to compare with, else as configured.
    pub fn samples(&self) -> usize {
        let samples = self.experiment.config().compare.samples;
        if self.form() == Form::Latents { samples.min(self.places.len()) } else { samples }
    }
}

/// At most `most` of `all` places, evenly chosen.
pub(super) fn evenly(all: usize, most: usize) -> Vec<usize> {
    let count = all.min(most);
    (0..count).map(|i| i * all / count).collect()
}
