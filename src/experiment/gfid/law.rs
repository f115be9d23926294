//! What a Fréchet distance needs to know of one side.
use crate::Result;
use crate::evaluate::Moments;

/// The vectors themselves where they are few, else their mean and covariance: whatever is smaller.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::experiment) enum Law {
    /// One vector after the other.
    Rows(Vec<f32>),
    /// A covariance row by row.
    Gaussian { mean: Vec<f64>, covariance: Vec<f64> },
}

impl Law {
    /// Length of a vector, for a law whose vectors were of `dimensions`.
    pub fn fits(&self, dimensions: usize) -> bool {
        match self {
            Self::Rows(rows) => !rows.is_empty() && rows.len().is_multiple_of(dimensions),
            Self::Gaussian { mean, covariance } => {
                mean.len() == dimensions && covariance.len() == dimensions * dimensions
            }
        }
    }
}

/// Vectors on their way to a [`Law`].
#[derive(Debug)]
pub(super) enum Gathered {
    Rows(Vec<f32>),
    Moments(Box<Moments>),
}

impl Gathered {
    /// For `count` vectors of `dimensions`.
    pub fn new(count: usize, dimensions: usize) -> Self {
        // A covariance has as many bytes as 2 · dimensions vectors in f32; a decomposition of either takes the cube.
        if 2 * count <= dimensions { Self::Rows(Vec::new()) } else { Self::Moments(Box::new(Moments::new(dimensions))) }
    }

    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        match self {
            Self::Rows(all) => all.extend_from_slice(rows),
            Self::Moments(moments) => moments.push(rows)?,
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for fewer than two vectors.
    pub fn law(self) -> Result<Law> {
        Ok(match self {
            Self::Rows(rows) => Law::Rows(rows),
            Self::Moments(moments) => {
                Law::Gaussian { mean: moments.mean().to_vec(), covariance: moments.covariance()? }
            }
        })
    }
}
