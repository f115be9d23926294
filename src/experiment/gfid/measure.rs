//! All measures of samples against a reference.
use super::frechet::{self, Frechet, GROUPS};
use super::interval::{student, wilson};
use super::report::{GfidFigure, GfidReport, ReferenceFacts};
use super::{GfidReference, GfidSamples};
use crate::evaluate::{KidSubsets, Splits, inception_score_of_logits, kid_subsets, precision_recall};
use crate::experiment::progress::{Progress, Task};
use crate::experiment::statistics::{mean, standard_error};
use crate::models::encoders::inception::Inception;
use crate::{Error, Result, host};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Samples of a group of the Inception Score, as ADM's evaluator has them.
const SPLIT: usize = 5000;
/// Up to which neighbour the balls of precision and recall reach.
const NEIGHBOURS: usize = 3;
/// The fewest pictures of either side: half of them are a subset of KID, which needs three.
const FEWEST: usize = 8;
/// Classes of the network.
const CLASSES: usize = 1008;

/// What the measures depend on beside the pictures and the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GfidOptions {
    /// Whether FID and sFID get an interval: ten groups are left out in turn, each for one decomposition of each.
    pub intervals: bool,
    /// The seed of those groups and of the subsets of KID.
    pub seed: u64,
    /// The folder in which statistics of references are kept; none to compute them each time.
    pub cache: Option<PathBuf>,
}

impl Default for GfidOptions {
    fn default() -> Self {
        Self { intervals: true, seed: 0, cache: None }
    }
}

/// Measures the pictures at `samples` against those at `reference`: see the [module](super) for what they may be.
/// # Errors
/// Those of [`GfidSamples::read`], [`GfidReference::read`] and [`measure_gfid`].
pub fn gfid_of_paths(
    samples: impl AsRef<Path>,
    reference: impl AsRef<Path>,
    network: &Inception,
    options: &GfidOptions,
    progress: &dyn Progress,
) -> Result<GfidReport> {
    let of_samples = GfidSamples::read(samples.as_ref(), network, progress)?;
    let reference = GfidReference::read(reference, network, options.cache.as_deref(), progress)?;
    let report = measure_gfid(&of_samples, &reference, network, options, progress)?;
    Ok(GfidReport { samples: Some(samples.as_ref().into()), ..report })
}

/// Measures `samples` against `reference`, both of features of `network`.
///
/// Precision, recall and KID need pictures of the reference, sFID statistics for it: without, they are absent.
/// # Errors
/// [`Error::Invalid`] for fewer than 8 samples or pictures of the reference, or features of different networks.
pub fn measure_gfid(
    samples: &GfidSamples,
    reference: &GfidReference,
    network: &Inception,
    options: &GfidOptions,
    progress: &dyn Progress,
) -> Result<GfidReport> {
    let (count, dimensions) = (samples.count(), samples.pool_dimensions());
    if count < FEWEST || (1..FEWEST).contains(&reference.kept()) {
        let message = format!("{count} samples and {} pictures of the reference", reference.kept());
        return Err(Error::Invalid(format!("{message}: must be at least {FEWEST} each")));
    }
    if reference.dimensions != dimensions || network.config().pool_dimensions() != dimensions {
        return Err(Error::Invalid("samples, reference and network must be of one Inception network".into()));
    }
    let task = Task::begin(progress, "distances", 5);
    let frechet = |law, rows, dimensions| frechet::distance(law, rows, dimensions, options.intervals, options.seed);
    let fid = frechet(&reference.pool, &samples.pool, dimensions)?;
    task.at(1);
    let spatial = reference.spatial.as_ref();
    let sfid = spatial.map(|law| frechet(law, &samples.spatial, Inception::SPATIAL_DIMENSIONS)).transpose()?;
    task.at(2);
    let inception_score = inception_score(samples, network)?;
    task.at(3);
    let mut report = GfidReport {
        samples: None,
        sample_count: count,
        sides: samples.sides(),
        reference: ReferenceFacts {
            path: reference.path.clone(),
            count: reference.count(),
            pictures_for_pairs: reference.kept(),
        },
        convention: network.convention(),
        width_divisor: network.config().width_divisor,
        weights_hash: network.weights_hash().into(),
        fid: distance_figure(&fid),
        fid_bias: fid.bias,
        sfid: sfid.as_ref().map(distance_figure),
        inception_score,
        precision: None,
        recall: None,
        kid: None,
        seed: options.seed,
    };
    if !reference.kept.is_empty() {
        let found = precision_recall(&reference.kept, &samples.pool, dimensions, NEIGHBOURS)?;
        let share = |value, count| GfidFigure { value, interval: Some(wilson(value, count)) };
        report.precision = Some(share(found.precision, count));
        report.recall = Some(share(found.recall, reference.kept()));
        task.at(4);
        report.kid = Some(kid(samples, reference, options.seed)?);
    }
    Ok(report)
}

fn distance_figure(found: &Frechet) -> GfidFigure {
    let interval = found.standard_error.and_then(|error| student(found.value, error, GROUPS - 1));
    GfidFigure { value: found.value, interval: interval.map(|[low, high]| [low.max(0.0), high]) }
}

/// The mean over groups of [`SPLIT`]; its error is that of a mean of so many, where they are all of one size.
fn inception_score(samples: &GfidSamples, network: &Inception) -> Result<GfidFigure> {
    let dimensions = samples.pool_dimensions();
    let mut scores = Vec::new();
    for rows in samples.pool.chunks(SPLIT * dimensions) {
        let rows = TensorData::new(rows.to_vec(), [rows.len() / dimensions, dimensions]);
        let pool = Tensor::<2>::from_data(rows, &Device::flex());
        let logits = host::values(network.logits(pool), "logits")?;
        scores.push(inception_score_of_logits(&logits, CLASSES, Splits::Size(SPLIT))?.mean);
    }
    let of_one_size = samples.count().is_multiple_of(SPLIT);
    let error = standard_error(&scores).filter(|_| of_one_size);
    let value = mean(&scores);
    Ok(GfidFigure { value, interval: error.and_then(|error| student(value, error, scores.len() - 1)) })
}

fn kid(samples: &GfidSamples, reference: &GfidReference, seed: u64) -> Result<GfidFigure> {
    let smaller = samples.count().min(reference.kept());
    let subsets = KidSubsets { size: KidSubsets::default().size.min(smaller / 2), seed, ..KidSubsets::default() };
    let found = kid_subsets(&reference.kept, &samples.pool, reference.dimensions, &subsets)?.distance;
    Ok(GfidFigure { value: found.value, interval: Some(found.interval()) })
}
