//! The key `compare.gfid`: a table on the papers' own scale.
use crate::experiment::config::{ExperimentConfig, add};
use crate::models::encoders::inception::FidConvention;
use crate::{Problem, data::Form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The Fréchet distance of Inception features of samples that became pictures, for every cell of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GfidConfig {
    /// The weights of the network, `pt_inception-2015-12-05-6726825d.pth`.
    pub inception: PathBuf,
    /// What pictures are compared with: a folder of pictures, an `.npz` of pictures, or ADM's `VIRTUAL_imagenet256_labeled.npz`.
    pub reference: PathBuf,
    /// What is done to pictures before the network sees them.
    #[serde(default)]
    pub convention: FidConvention,
}

impl GfidConfig {
    /// The keys of its files, and these.
    pub(crate) fn files(&self) -> [(String, PathBuf); 2] {
        [("inception", &self.inception), ("reference", &self.reference)]
            .map(|(key, path)| (format!("compare.gfid.{key}"), path.clone()))
    }
}

impl ExperimentConfig {
    pub(super) fn gfid_problems(&self, path: &str) -> Vec<Problem> {
        let Some(gfid) = &self.compare.gfid else { return Vec::new() };
        let mut problems = Vec::new();
        for (key, file) in [("inception", &gfid.inception), ("reference", &gfid.reference)] {
            let named = !file.as_os_str().is_empty();
            Problem::unless(&mut problems, named, path, key, "\"\"", "must name a file or folder");
        }
        if !self.makes_pictures() {
            let message = ": needs pictures: name what decodes samples in `sample.autoencoder`, or for RAE in \
                           `sample.decoder`";
            add(&mut problems, path.into(), message);
        }
        problems
    }

    /// Samples of one cell of the table. Latents are made for held-out ones in turn: as many as these, or for a gFID of a
    /// network that reads labels as many as configured.
    pub(crate) fn cell_samples(&self, held_out: usize) -> usize {
        let samples = self.compare.samples;
        let more = self.compare.gfid.is_some() && !self.network.reads_text();
        if self.data.form() == Form::Latents && !more { samples.min(held_out) } else { samples }
    }
}
