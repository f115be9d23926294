//! Distances of samples to the data that arms are compared with.
use super::cell_gfid::CellGfid;
use super::metric::Metric;
use super::opened::Experiment;
use crate::data::{DataSplit, Form, evenly};
use crate::evaluate::{
    FeatureExtractor, FrechetReference, Moments, PairAverage, Pixels, RandomConvolutions, energy_distance_with,
    frechet_distance_of_samples,
};
use crate::models::NetworkCondition;
use crate::random::{Purpose, SampleKey};
use crate::{Error, Result};
use burn::data::dataset::Dataset;
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

/// Reference samples that the energy distance compares with, evenly chosen: its time grows with their square.
const MOST_FOR_PAIRS: usize = 4000;

/// Values of them at most: a gigabyte, of large latents.
const MOST_PAIR_VALUES: usize = 1 << 28;

/// Reference samples at most, evenly chosen.
const MOST: usize = 50_000;

/// Samples measured together, to bound the memory of features.
const BATCH: usize = 500;

/// Dimensions up to which a Fréchet distance is taken by covariances, whose decomposition costs their cube.
const MOST_DIMENSIONS: usize = 1024;

/// Values of the reference kept for a Fréchet distance of more dimensions: a quarter of a gigabyte.
const MOST_VALUES: usize = 1 << 26;

/// The reference of one Fréchet distance.
enum Reference {
    /// Its covariance, decomposed.
    Covariance(FrechetReference),
    /// Its samples, evenly chosen where they are many: inner products with them take the place of a covariance.
    Samples(Vec<f32>),
}

/// The statistics of the data that arms are compared with.
pub struct Distances<'a> {
    experiment: &'a Experiment,
    data: &'a DataSplit,
    /// Plain and zero-mean filters; for pictures.
    convolutions: Option<RandomConvolutions>,
    /// One for each Fréchet distance, in the order of the metrics.
    reference: Vec<Reference>,
    /// What every sample is compared with one by one; for vectors and latents.
    for_pairs: Vec<f32>,
    /// Places of the reference in the held-out data.
    places: Vec<usize>,
    /// Loaded when it is first measured by.
    gfid: OnceLock<CellGfid>,
}

impl<'a> Distances<'a> {
    /// Measures the held-out part of `data`. Latents are as many as there are samples in a cell, each for one sample.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two such samples; what reading them reports.
    pub fn new(experiment: &'a Experiment, data: &'a DataSplit) -> Result<Self> {
        let compare = &experiment.config().compare;
        let form = experiment.config().data.form();
        let pairs = most_for_pairs(data.shape.iter().product());
        let most = match form {
            // For a gFID samples are as many as asked for, and some of them have an energy distance.
            Form::Latents if compare.gfid.is_some() => compare.samples,
            Form::Latents => compare.samples.min(pairs),
            Form::Pictures | Form::Vectors => MOST,
        };
        let places = evenly(data.held_out.len(), most);
        let convolutions = (form == Form::Pictures)
            .then(|| RandomConvolutions::with_texture(compare.feature_seed, data.shape[0], experiment.device()))
            .transpose()?;
        let (reference, for_pairs) = (Vec::new(), Vec::new());
        let gfid = OnceLock::new();
        let mut this = Self { experiment, data, convolutions, reference, for_pairs, places, gfid };
        if form != Form::Pictures {
            let chosen = evenly(this.places.len(), pairs).into_iter().map(|i| this.places[i]);
            this.for_pairs = data.held_out.values(&chosen.collect::<Vec<_>>())?;
        }
        if form != Form::Latents {
            this.reference = this.reference()?;
        }
        Ok(this)
    }

    /// The reference of every Fréchet distance, read batch by batch.
    fn reference(&self) -> Result<Vec<Reference>> {
        let held_out = &self.data.held_out;
        let mut all = self.no_moments();
        for places in self.places.chunks(BATCH) {
            self.push(&mut all, &held_out.values(places)?)?;
        }
        let kept = evenly(self.places.len(), (MOST_VALUES / self.size()).max(2));
        let kept: Vec<usize> = kept.into_iter().map(|i| self.places[i]).collect();
        let one = |moments: Option<Moments>| match moments {
            Some(moments) => FrechetReference::new(&moments).map(Reference::Covariance),
            None => held_out.values(&kept).map(Reference::Samples),
        };
        all.into_iter().map(one).collect()
    }

    /// The names of the distances, the gFID last.
    pub fn metrics(&self) -> Vec<Metric> {
        self.experiment.config().metrics()
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

    /// Moments of no samples for each Fréchet distance; none where inner products take their place.
    fn no_moments(&self) -> Vec<Option<Moments>> {
        let own = (self.size() <= MOST_DIMENSIONS).then(|| Moments::new(self.size()));
        let convolved = || Some(Moments::new(RandomConvolutions::FILTERS));
        if self.convolutions.is_some() { vec![convolved(), own, convolved()] } else { vec![own] }
    }

    /// Adds samples to the moments of every Fréchet distance that has some.
    fn push(&self, all: &mut [Option<Moments>], values: &[f32]) -> Result<()> {
        let images = self.images(values);
        let own = |images| Pixels { shape: self.data.shape }.extract(images);
        match (&self.convolutions, all) {
            (Some(convolutions), [plain, pixels, texture]) => {
                if let Some(pixels) = pixels {
                    pixels.push_tensor(own(images.clone())?)?;
                }
                let both = convolutions.extract(images)?;
                for (part, moments) in [plain, texture].into_iter().enumerate() {
                    let filters = RandomConvolutions::FILTERS;
                    let half = both.clone().narrow(1, part * filters, filters);
                    moments.iter_mut().try_for_each(|moments| moments.push_tensor(half.clone()))?;
                }
                Ok(())
            }
            (_, all) => all.iter_mut().flatten().try_for_each(|moments| moments.push_tensor(own(images.clone())?)),
        }
    }

    /// Of `count` samples the positions, sorted, of those that have distances of their own: all, but of latents with a gFID those
    /// that were drawn for the held-out ones they are compared with.
    pub(super) fn own_samples(&self, count: usize) -> Vec<usize> {
        match self.form() {
            Form::Latents => evenly(count.min(self.places.len()), most_for_pairs(self.size())),
            Form::Pictures | Form::Vectors => (0..count).collect(),
        }
    }

    /// Those of samples that have distances of their own.
    pub(super) fn chosen<'v>(&self, values: &'v [f32]) -> Cow<'v, [f32]> {
        let (count, size) = (values.len() / self.size(), self.size());
        let own = self.own_samples(count);
        if own.len() == count {
            return Cow::Borrowed(values);
        }
        Cow::Owned(own.into_iter().flat_map(|i| &values[i * size..(i + 1) * size]).copied().collect())
    }

    /// The distances of samples, one after the other in `values`, to the reference, one per metric. The energy distance of
    /// latents is of at most 4000 of them, evenly chosen, and of no more than a gigabyte.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two samples or values that are not finite; for a gFID those of loading its networks
    /// and its reference.
    pub fn measure(&self, values: &[f32]) -> Result<Vec<f64>> {
        let mut distances = self.own(&self.chosen(values))?;
        if let Some(gfid) = self.gfid()? {
            distances.push(gfid.distance(&gfid.networks()[0].features(self.experiment, values)?)?);
        }
        Ok(distances)
    }

    /// The distances of the samples that [have some](Self::own_samples), one after the other in `values`, to the reference: one
    /// for each metric but the gFID.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two samples or values that are not finite.
    pub(super) fn own(&self, values: &[f32]) -> Result<Vec<f64>> {
        let mut distances = Vec::new();
        if self.form() != Form::Pictures {
            distances.push(energy_distance_with(values, &self.for_pairs, self.size(), PairAverage::All)?);
        }
        if self.form() == Form::Latents {
            return Ok(distances);
        }
        let mut all = self.no_moments();
        for batch in values.chunks(self.size() * BATCH) {
            self.push(&mut all, batch)?;
        }
        for (reference, moments) in self.reference.iter().zip(&all) {
            let distance = match (reference, moments) {
                (Reference::Covariance(reference), Some(moments)) => reference.distance(moments),
                (Reference::Samples(reference), _) => frechet_distance_of_samples(reference, values, self.size()),
                (Reference::Covariance(_), None) => Err(Error::Invalid("a distance without moments".into())),
            };
            distances.push(distance?);
        }
        Ok(distances)
    }

    /// How far `count` training samples, evenly chosen, are from the reference: no model can be expected to do better.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn floor(&self, count: usize) -> Result<Vec<f64>> {
        let train = &self.data.train;
        let own = self.own_samples(count).len();
        let mut distances = self.own(&train.values(&evenly(train.len(), own))?)?;
        if let Some(gfid) = self.gfid()? {
            let places = evenly(train.len(), count);
            distances.push(gfid.floor(self.experiment, |some| train.values(&places[some]), places.len())?);
        }
        Ok(distances)
    }

    /// What measures the gFID, if one is asked for.
    ///
    /// # Errors
    /// Those of [`CellGfid::new`].
    pub(super) fn gfid(&self) -> Result<Option<&CellGfid>> {
        let Some(config) = &self.experiment.config().compare.gfid else { return Ok(None) };
        if self.gfid.get().is_none() {
            let loaded = CellGfid::new(self.experiment, config)?;
            self.gfid.get_or_init(|| loaded);
        }
        Ok(self.gfid.get())
    }

    /// The conditions that the samples at some positions are generated for, the same for every arm: labels in the proportions
    /// of the reference; for latents, those of its items in turn.
    ///
    /// # Errors
    /// What reading the items reports.
    pub fn conditions(&self, seed: u64, positions: Range<usize>) -> Result<NetworkCondition> {
        let place = |i: usize| self.places[i % self.places.len()];
        if self.form() == Form::Latents && self.experiment.config().network.reads_text() {
            let items = positions.map(|i| self.data.held_out.get(place(i))).collect::<Result<Vec<_>, _>>();
            return Ok(self.experiment.condition(items.map_err(|e| Error::Invalid(e.to_string()))?));
        }
        let real = self.data.held_out.labels();
        let label = |position: usize| {
            if self.form() == Form::Latents {
                return real[place(position)];
            }
            let key = SampleKey { seed, epoch: 0, position: position as u64 };
            real[key.rng(Purpose::GenerationCondition).random_range(0..real.len())]
        };
        let labels: Vec<i64> = positions.map(label).collect();
        let labels = Tensor::<1, Int>::from_data(&labels[..], self.experiment.device());
        Ok(labels.into())
    }

    /// Samples that one cell needs.
    pub fn samples(&self) -> usize {
        self.experiment.config().cell_samples(self.places.len())
    }
}

/// How many latents or vectors of `size` numbers are compared one by one.
pub(super) fn most_for_pairs(size: usize) -> usize {
    MOST_FOR_PAIRS.min((MOST_PAIR_VALUES / size.max(1)).max(2))
}
