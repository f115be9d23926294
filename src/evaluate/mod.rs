//! How far generated samples are from real ones, measured on the host in f64.
//!
//! | Measure | Value for equal laws | Few samples |
//! |---|---|---|
//! | [`frechet_distance`] of [`Moments`], [`frechet_distance_of_samples`] | 0 | too large, by about `1/n` |
//! | [`kid`], [`kid_subsets`] | 0, may be negative | unbiased, with an interval |
//! | [`energy_distance`] | 0, may be negative | unbiased |
//! | [`precision_recall`] | both near 1, below it | depends on both counts |
//! | [`inception_score`] | that of the data | too small |
//!
//! Numbers that are biased compare only at equal sample sizes. All but the first and the last cost the square of the
//! sample size in time, in matrix products of tiles; none keeps a matrix of that size.
//! Sample sets are slices, one vector after the other, of f32 or f64 (anything that converts to f64 without loss).
//! Features come from a [`FeatureExtractor`]: [`Pixels`], [`RandomConvolutions`] or your own network.
mod energy;
mod features;
mod frechet;
mod frechet_of_samples;
mod inception_score;
mod kid;
mod moments;
mod precision_recall;
mod tiles;
mod windows;

pub use energy::{PairAverage, energy_distance, energy_distance_with};
pub use features::{FeatureExtractor, Pixels, RandomConvolutions};
pub use frechet::{FrechetReference, frechet_distance};
pub use frechet_of_samples::frechet_distance_of_samples;
pub use inception_score::{InceptionScore, Splits, inception_score, inception_score_of_logits};
pub use kid::{KernelDistance, KidSubsets, SubsetDistance, kid, kid_subsets};
pub use moments::Moments;
pub use precision_recall::{PrecisionRecall, neighbour_radii, precision_recall};
