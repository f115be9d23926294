//! How far generated samples are from real ones, measured on the host in f64.
//!
//! [`frechet_distance`] compares the [`Moments`] of features and is biased upwards for few samples:
//! compare numbers from the same sample size only. [`energy_distance`] needs no Gaussian assumption
//! and is unbiased, but its cost grows with the square of the sample size; use it for low-dimensional data.
//! Features come from a [`FeatureExtractor`]: [`Pixels`], [`RandomConvolutions`] or your own network.
mod energy;
mod features;
mod frechet;
mod moments;

pub use energy::{PairAverage, energy_distance, energy_distance_with};
pub use features::{FeatureExtractor, Pixels, RandomConvolutions};
pub use frechet::frechet_distance;
pub use moments::Moments;
