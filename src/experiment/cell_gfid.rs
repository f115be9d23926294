//! gFID of the samples of a cell: decoded, to bytes, to Inception features, to a Fréchet distance.
use super::config::GfidConfig;
use super::files::{hash, pretty, read, write};
use super::gfid::{GfidReference, Law, finite_features};
use super::opened::Experiment;
use super::pixels::PictureMaker;
use super::progress::Task;
use crate::evaluate::{FrechetReference, Moments, frechet_distance_of_samples};
use crate::models::encoders::inception::Inception;
use crate::{Result, host};
use burn::tensor::{Tensor, TensorData};
use serde_json::json;

/// Samples that become pictures together.
const TOGETHER: usize = 16;

/// What real pictures are like, decomposed once.
enum Reference {
    Covariance(FrechetReference),
    /// Their features, where they are fewer than a covariance has rows.
    Features(Vec<f32>),
}

/// The networks and the reference of `compare.gfid`.
pub(super) struct CellGfid {
    network: Inception,
    maker: PictureMaker,
    reference: Reference,
    /// What tells the reference and the networks from others.
    made_of: String,
}

impl CellGfid {
    /// Loads them; statistics of the reference are kept in the cache.
    ///
    /// # Errors
    /// Those of [`Inception::load`], [`GfidReference::read`] and of loading the decoder.
    pub fn new(experiment: &Experiment, config: &GfidConfig) -> Result<Self> {
        let network = Inception::load(&config.inception, experiment.device())?.with_convention(config.convention);
        let progress = experiment.progress();
        let reference = GfidReference::read(&config.reference, &network, Some(experiment.cache()), progress)?;
        let maker = experiment.picture_maker(experiment.device())?;
        let sample = &experiment.config().sample;
        let decoder = json!([sample.autoencoder, sample.decoder, experiment.config().pixel_rule()]);
        let law = reference.into_pool();
        let of_law = match &law {
            Law::Gaussian { mean, .. } => format!("{mean:?}"),
            Law::Rows(rows) => format!("{rows:?}"),
        };
        let made_of = hash(&format!("{} {:?} {of_law} {decoder}", network.weights_hash(), config.convention));
        let reference = match law {
            Law::Gaussian { mean, covariance } => {
                Reference::Covariance(FrechetReference::of_gaussian(mean, &covariance)?)
            }
            Law::Rows(rows) => Reference::Features(rows),
        };
        Ok(Self { network, maker, reference, made_of })
    }

    /// The FID of samples of `shape`, one after the other in `values` as the network makes them.
    ///
    /// # Errors
    /// Those of the decoder; [`Error::Invalid`](crate::Error::Invalid) for fewer than two samples, or features that are not
    /// finite.
    pub fn measure(&self, experiment: &Experiment, values: &[f32], shape: [usize; 3]) -> Result<f64> {
        let [channels, height, width] = shape;
        let (size, dimensions) = (shape.iter().product::<usize>(), self.network.config().pool_dimensions());
        let task = Task::begin(experiment.progress(), "gFID", (values.len() / size) as u64);
        let (mut moments, mut rows, mut done) = (Moments::new(dimensions), Vec::new(), 0);
        let sides = experiment.config().picture_sides(shape);
        for some in values.chunks(size * TOGETHER) {
            let shape = [some.len() / size, channels, height, width];
            let samples = Tensor::from_data(TensorData::new(some.to_vec(), shape), experiment.device());
            let pictures = self.maker.bytes(&samples)?.concat();
            let features = host::values(self.network.forward_bytes(&pictures, sides)?.pool, "features")?;
            let features = finite_features(features)?;
            match &self.reference {
                Reference::Covariance(_) => moments.push(&features)?,
                Reference::Features(_) => rows.extend(features),
            }
            done += shape[0] as u64;
            task.at(done);
        }
        match &self.reference {
            Reference::Covariance(reference) => reference.distance(&moments),
            Reference::Features(reference) => frechet_distance_of_samples(&rows, reference, dimensions),
        }
    }

    /// As [`measure`](Self::measure) of real items, which are the same in every call: kept in the cache.
    ///
    /// # Errors
    /// As [`measure`](Self::measure); what hashing the data reports; [`Error::Io`](crate::Error::Io).
    pub fn floor(
        &self,
        experiment: &Experiment,
        values: impl FnOnce() -> Result<Vec<f32>>,
        count: usize,
    ) -> Result<f64> {
        let reference = experiment.config().compare.reference;
        let made_of = json!([self.made_of, experiment.data_fingerprint()?, reference, count]).to_string();
        let file = experiment.cache().join(format!("gfid-floor-{}.json", hash(&made_of)));
        if let Some(found) = read::<f64>(&file) {
            return Ok(found);
        }
        let found = self.measure(experiment, &values()?, experiment.data().shape)?;
        super::files::create(experiment.cache())?;
        write(&file, &pretty(&found)?)?;
        Ok(found)
    }
}
