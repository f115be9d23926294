//! The distances that arms are compared by, for each kind of data.
use super::config::ExperimentConfig;
use crate::data::Form;

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

const GFID: Metric =
    Metric { name: "gfid", title: "gFID: Inception features of the samples as pictures, as many as a cell has" };

impl ExperimentConfig {
    /// The distances of its data, the first the one to choose by; last the gFID, if `compare.gfid` asks for it.
    pub fn metrics(&self) -> Vec<Metric> {
        metrics(self.data.form()).iter().copied().chain(self.compare.gfid.is_some().then_some(GFID)).collect()
    }
}

/// The distances of a kind of data, the first the one to choose by.
pub fn metrics(form: Form) -> &'static [Metric] {
    match form {
        Form::Pictures => &OF_PICTURES,
        Form::Vectors => &OF_VECTORS,
        Form::Latents => &OF_LATENTS,
    }
}
