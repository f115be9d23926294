//! gFID of the samples of a cell: decoded, to bytes, to Inception features, to a Fréchet distance.
use super::config::GfidConfig;
use super::files::{hash, hash_of_files, pretty, read, write};
use super::gfid::{GfidReference, Law, finite_features};
use super::opened::Experiment;
use super::pixels::PictureMaker;
use super::progress::Task;
use super::{kept_hash, made_of};
use crate::evaluate::{FrechetReference, Moments, frechet_distance_of_samples};
use crate::models::encoders::inception::Inception;
use crate::{Error, Result, host};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::json;
use std::ops::Range;

/// Samples that become pictures together.
const TOGETHER: usize = 16;

/// Real items whose features are made at a time.
const AT_A_TIME: usize = 256;

/// What real pictures are like, decomposed once.
enum Reference {
    Covariance(FrechetReference),
    /// Their features, where they are fewer than a covariance has rows.
    Features(Vec<f32>),
}

/// The networks and the reference of `compare.gfid`.
pub(super) struct CellGfid {
    /// On each device of the experiment, in their order.
    networks: Vec<FeatureMaker>,
    reference: Reference,
    /// What tells them from others.
    made_of: String,
}

/// What makes features of samples, on one device.
pub(super) struct FeatureMaker {
    device: Device,
    inception: Inception,
    maker: PictureMaker,
}

impl FeatureMaker {
    /// # Errors
    /// Those of [`Inception::load`] and of loading the decoder.
    pub fn new(experiment: &Experiment, config: &GfidConfig, device: &Device) -> Result<Self> {
        Ok(Self {
            device: device.clone(),
            inception: Inception::load(&config.inception, device)?.with_convention(config.convention),
            maker: experiment.picture_maker(device)?,
        })
    }

    /// What decides features and distances beside the samples, as a hash of the files' bytes, which are kept in the cache.
    fn made_of(&self, experiment: &Experiment, config: &GfidConfig) -> Result<String> {
        let cache = experiment.cache();
        let files = GfidReference::files(&config.reference, &self.inception)?;
        let reference = kept_hash::kept(&files, cache, || {
            let task = Task::begin(experiment.progress(), "hashing the reference", files.len() as u64);
            hash_of_files(&files, |done| task.at(done))
        })?;
        let sample = &experiment.config().sample;
        let decoder = sample.decoder.as_ref().map(|part| (json!(part.network), &part.weights));
        let decoder = decoder.or(sample.autoencoder.as_ref().map(|part| (json!(part.network), &part.weights)));
        let decoder = decoder.map(|(network, weights)| made_of::weighted(network, weights, Some(cache))).transpose()?;
        let (weights, rule) = (self.inception.weights_hash(), experiment.config().pixel_rule());
        Ok(hash(&json!([weights, config.convention, reference, decoder, rule]).to_string()))
    }

    /// Length of the features of a sample.
    pub fn dimensions(&self) -> usize {
        self.inception.config().pool_dimensions()
    }

    /// Features of samples, one after the other in `values` as the network makes them.
    ///
    /// # Errors
    /// Those of the decoder; [`Error::Invalid`] for features that are not finite.
    pub fn features(&self, experiment: &Experiment, values: &[f32]) -> Result<Vec<f32>> {
        let shape = experiment.data().shape;
        let ([channels, height, width], size) = (shape, shape.iter().product::<usize>());
        let sides = experiment.config().picture_sides(shape);
        let mut features = Vec::with_capacity(values.len() / size * self.dimensions());
        for some in values.chunks(size * TOGETHER) {
            let shape = [some.len() / size, channels, height, width];
            let samples = Tensor::from_data(TensorData::new(some.to_vec(), shape), &self.device);
            let pictures = self.maker.bytes(&samples)?.concat();
            let found = host::values(self.inception.forward_bytes(&pictures, sides)?.pool, "features")?;
            features.extend(finite_features(found)?);
        }
        Ok(features)
    }
}

impl CellGfid {
    /// Loads them; statistics of the reference are kept in the cache.
    ///
    /// # Errors
    /// Those of [`Inception::load`], [`GfidReference::read`] and of loading the decoder.
    pub fn new(experiment: &Experiment, config: &GfidConfig) -> Result<Self> {
        let on = |device| FeatureMaker::new(experiment, config, device);
        let networks = experiment.devices().iter().map(on).collect::<Result<Vec<_>>>()?;
        let made_of = networks[0].made_of(experiment, config)?;
        let (network, progress) = (&networks[0].inception, experiment.progress());
        let reference = GfidReference::read(&config.reference, network, Some(experiment.cache()), progress)?;
        let reference = match reference.into_pool() {
            Law::Gaussian { mean, covariance } => {
                let unusable = |e: Error| Error::format(&config.reference, format!("compare.gfid.reference: {e}"));
                Reference::Covariance(FrechetReference::of_gaussian(mean, &covariance).map_err(unusable)?)
            }
            Law::Rows(rows) => Reference::Features(rows),
        };
        Ok(Self { networks, reference, made_of })
    }

    /// What decides a gFID beside the samples, as a hash. All of it is opened, so that what is wrong is known before anything
    /// is trained.
    ///
    /// # Errors
    /// Those of [`Inception::load`] and of loading the decoder; those of [`GfidReference::read`] that headers tell.
    pub fn made_of(experiment: &Experiment, config: &GfidConfig) -> Result<String> {
        FeatureMaker::new(experiment, config, experiment.device())?.made_of(experiment, config)
    }

    /// Opens the network, and what headers tell of the reference.
    ///
    /// # Errors
    /// Those of [`Inception::load`]; those of [`GfidReference::read`] that headers tell.
    pub fn look(experiment: &Experiment, config: &GfidConfig) -> Result<()> {
        let network = Inception::load(&config.inception, experiment.device())?;
        GfidReference::files(&config.reference, &network).map(drop)
    }

    /// On each device of the experiment, in their order.
    pub fn networks(&self) -> &[FeatureMaker] {
        &self.networks
    }

    /// Length of the features of a sample.
    pub fn dimensions(&self) -> usize {
        self.networks[0].dimensions()
    }

    /// The FID of samples by their features, one after the other.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two samples.
    pub fn distance(&self, features: &[f32]) -> Result<f64> {
        match &self.reference {
            Reference::Covariance(reference) => {
                let mut moments = Moments::new(self.dimensions());
                moments.push(features)?;
                reference.distance(&moments)
            }
            Reference::Features(reference) => frechet_distance_of_samples(features, reference, self.dimensions()),
        }
    }

    /// The FID of `count` real items, which are the same in every call: kept in the cache. `values` gives some of them.
    ///
    /// # Errors
    /// As [`FeatureMaker::features`] and [`distance`](Self::distance); what reading the items and hashing the data reports;
    /// [`Error::Io`].
    pub fn floor(
        &self,
        experiment: &Experiment,
        values: impl Fn(Range<usize>) -> Result<Vec<f32>>,
        count: usize,
    ) -> Result<f64> {
        let reference = experiment.config().compare.reference;
        let made_of = json!([self.made_of, experiment.data_fingerprint()?, reference, count]).to_string();
        let file = experiment.cache().join(format!("gfid-floor-{}.json", hash(&made_of)));
        if let Some(found) = read::<f64>(&file) {
            return Ok(found);
        }
        let task = Task::begin(experiment.progress(), "gFID of training data", count as u64);
        let mut features = Vec::with_capacity(count * self.dimensions());
        for start in (0..count).step_by(AT_A_TIME) {
            let end = count.min(start + AT_A_TIME);
            features.extend(self.networks[0].features(experiment, &values(start..end)?)?);
            task.at(end as u64);
        }
        let found = self.distance(&features)?;
        super::files::create(experiment.cache())?;
        write(&file, &pretty(&found)?)?;
        Ok(found)
    }
}
