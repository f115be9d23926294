//! What is known of real pictures: statistics of their features, and some of the features themselves.
use super::law::{Gathered, Law};
use super::npz::{self, PICTURES};
use super::pictures::Pictures;
use super::samples::finite;
use super::{cache, content};
use crate::data::evenly;
use crate::experiment::progress::{Progress, Task};
use crate::models::encoders::inception::Inception;
use crate::{Error, Result, host};
use std::path::{Path, PathBuf};

/// Pictures whose features are kept for precision, recall and KID, evenly chosen; ADM's file has as many.
const MOST_KEPT: usize = 10_000;

/// Which shape statistics must have.
const WHOSE: &str = "that of this network";

/// The two sides that [`measure_gfid`](super::measure_gfid) compares samples with, and pictures of them.
#[derive(Debug, Clone)]
pub struct GfidReference {
    pub(super) path: PathBuf,
    pub(super) pool: Law,
    pub(super) spatial: Option<Law>,
    /// Pooled features, one vector after the other; none where the file has statistics alone.
    pub(super) kept: Vec<f32>,
    /// The pictures that `pool` is of, if that is known.
    pub(super) count: Option<usize>,
    /// Length of a vector of `kept`.
    pub(super) dimensions: usize,
}

/// What is computed of pictures, and cached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PictureStatistics {
    pub count: usize,
    pub pool: Law,
    pub spatial: Law,
    pub kept: Vec<f32>,
}

impl GfidReference {
    /// The reference at `path`: see the [module](super) for what it may be.
    ///
    /// Statistics of pictures are kept in the folder `cache`, if one is given, under a hash of the pictures' files, the weights
    /// of the network and its convention. What is damaged there is computed again.
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`], saying what would be right, if the path holds anything else, or statistics of
    /// another network than this one; [`Error::Io`] if the cache cannot be written.
    pub fn read(
        path: impl AsRef<Path>,
        network: &Inception,
        cache: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (path, dimensions) = (path.as_ref(), network.config().pool_dimensions());
        let names = match path.extension().is_some_and(|end| end == "npz") {
            true => npz::names(path)?,
            false => Vec::new(),
        };
        let has = |name: &str| names.iter().any(|other| other == name);
        if !has("mu") {
            let statistics = of_pictures(path, network, cache, progress)?;
            let PictureStatistics { count, pool, spatial, kept } = statistics;
            return Ok(Self { path: path.into(), pool, spatial: Some(spatial), kept, count: Some(count), dimensions });
        }
        let pool = gaussian(path, ["mu", "sigma"], dimensions)?;
        let spatial = has("mu_s").then(|| gaussian(path, ["mu_s", "sigma_s"], Inception::SPATIAL_DIMENSIONS));
        let spatial = spatial.transpose()?;
        let kept = match has(PICTURES) {
            true => of_pictures(path, network, cache, progress)?.kept,
            false => Vec::new(),
        };
        Ok(Self { path: path.into(), pool, spatial, kept, count: None, dimensions })
    }

    /// The files that [`read`](Self::read) reads at `path`, of which only headers were looked at.
    ///
    /// # Errors
    /// As [`read`](Self::read), of what headers tell.
    pub(in crate::experiment) fn files(path: &Path, network: &Inception) -> Result<Vec<PathBuf>> {
        let dimensions = network.config().pool_dimensions();
        if path.extension().is_some_and(|end| end == "npz") && npz::names(path)?.iter().any(|name| name == "mu") {
            npz::has_shape(path, "mu", &[dimensions], WHOSE)?;
            npz::has_shape(path, "sigma", &[dimensions, dimensions], WHOSE)?;
            return Ok(vec![path.into()]);
        }
        let pictures = Pictures::open(path)?;
        enough(&pictures)?;
        Ok(pictures.files().into_iter().map(Path::to_path_buf).collect())
    }

    /// The law of the pooled features.
    pub(in crate::experiment) fn into_pool(self) -> Law {
        self.pool
    }

    /// The pictures that the statistics are of; none where a file does not say.
    pub fn count(&self) -> Option<usize> {
        self.count
    }

    /// The pictures whose features precision, recall and KID compare with.
    pub fn kept(&self) -> usize {
        self.kept.len() / self.dimensions
    }
}

/// A mean and a covariance of a file.
fn gaussian(file: &Path, [mean, covariance]: [&str; 2], dimensions: usize) -> Result<Law> {
    Ok(Law::Gaussian {
        mean: npz::floats(file, mean, &[dimensions], WHOSE)?,
        covariance: npz::floats(file, covariance, &[dimensions, dimensions], WHOSE)?,
    })
}

fn of_pictures(
    path: &Path,
    network: &Inception,
    cache: Option<&Path>,
    progress: &dyn Progress,
) -> Result<PictureStatistics> {
    let pictures = Pictures::open(path)?;
    let Some(folder) = cache else { return computed(&pictures, network, progress) };
    let file = cache::file(folder, &content::hash(&pictures, network, MOST_KEPT)?);
    if let Some(statistics) = cache::read(&file).filter(|statistics| statistics.count == pictures.count) {
        return Ok(statistics);
    }
    let statistics = computed(&pictures, network, progress)?;
    cache::write(&file, &statistics)?;
    Ok(statistics)
}

fn enough(pictures: &Pictures) -> Result<()> {
    match pictures.count {
        0 | 1 => Err(Error::format(&pictures.path, "holds 1 picture: must hold at least 2")),
        _ => Ok(()),
    }
}

fn computed(pictures: &Pictures, network: &Inception, progress: &dyn Progress) -> Result<PictureStatistics> {
    let (count, dimensions) = (pictures.count, network.config().pool_dimensions());
    enough(pictures)?;
    let task = Task::begin(progress, "features of the reference", count as u64);
    let mut pool = Gathered::new(count, dimensions);
    let mut spatial = Gathered::new(count, Inception::SPATIAL_DIMENSIONS);
    let (mut kept, mut done) = (Vec::new(), 0);
    let mut places = evenly(count, MOST_KEPT).into_iter().peekable();
    pictures.each_batch(|bytes| {
        let output = network.forward_bytes(bytes, pictures.sides)?;
        let features = finite(host::values(output.pool, "features")?)?;
        pool.push(&features)?;
        spatial.push(&finite(host::values(output.spatial, "features")?)?)?;
        for (i, row) in features.chunks_exact(dimensions).enumerate() {
            if places.next_if(|place| *place == done + i).is_some() {
                kept.extend_from_slice(row);
            }
        }
        done += features.len() / dimensions;
        task.at(done as u64);
        Ok(())
    })?;
    Ok(PictureStatistics { count, pool: pool.law()?, spatial: spatial.law()?, kept })
}
