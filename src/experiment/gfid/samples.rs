//! Features of generated pictures.
use super::pictures::Pictures;
use crate::experiment::progress::{Progress, Task};
use crate::host;
use crate::models::encoders::inception::Inception;
use crate::{Error, Result};
use std::path::Path;

/// The features of generated pictures, 16 KB each, for [`measure_gfid`](super::measure_gfid).
#[derive(Debug, Clone)]
pub struct GfidSamples {
    pool_dimensions: usize,
    sides: Option<[usize; 2]>,
    /// `[pictures, pool_dimensions]`.
    pub(super) pool: Vec<f32>,
    /// `[pictures, 2023]`.
    pub(super) spatial: Vec<f32>,
}

impl GfidSamples {
    /// No pictures yet, for a network like this one.
    pub fn new(network: &Inception) -> Self {
        let pool_dimensions = network.config().pool_dimensions();
        Self { pool_dimensions, sides: None, pool: Vec::new(), spatial: Vec::new() }
    }

    /// Those at `path`: see the [module](super) for what it may be.
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`], saying what would be right, if it holds anything else.
    pub fn read(path: impl AsRef<Path>, network: &Inception, progress: &dyn Progress) -> Result<Self> {
        let pictures = Pictures::open(path.as_ref())?;
        let task = Task::begin(progress, "features of the samples", pictures.count as u64);
        let mut samples = Self::new(network);
        pictures.each_batch(|bytes| {
            samples.push(network, bytes, pictures.sides)?;
            task.at(samples.count() as u64);
            Ok(())
        })?;
        Ok(samples)
    }

    /// Adds pictures, bytes `[batch, height, width, 3]`. The Inception Score cuts them into groups in the order they come in.
    /// # Errors
    /// [`Error::Invalid`] if the bytes are no whole number of pictures, pictures are not of one size, or the network is
    /// of another width or gives features that are not finite.
    pub fn push(&mut self, network: &Inception, pictures: &[u8], sides: [usize; 2]) -> Result<()> {
        let (expected, width) = (*self.sides.get_or_insert(sides), network.config().pool_dimensions());
        if expected != sides || width != self.pool_dimensions {
            let [[height, width], [h, w]] = [expected, sides];
            let message =
                format!("pictures of {h}×{w} after pictures of {height}×{width}, or features of another network");
            return Err(Error::Invalid(message));
        }
        let output = network.forward_bytes(pictures, sides)?;
        self.pool.extend(finite(host::values(output.pool, "features")?)?);
        self.spatial.extend(finite(host::values(output.spatial, "features")?)?);
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pool.len() / self.pool_dimensions
    }

    /// Height and width of the pictures, once there are any.
    pub fn sides(&self) -> Option<[usize; 2]> {
        self.sides
    }

    /// Length of a vector of [`Self::pool`].
    pub(super) fn pool_dimensions(&self) -> usize {
        self.pool_dimensions
    }
}

/// The features, if the network gave numbers.
pub(in crate::experiment) fn finite(features: Vec<f32>) -> Result<Vec<f32>> {
    match features.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::Invalid(format!("the Inception network gave {value}: its weights are damaged"))),
        None => Ok(features),
    }
}
