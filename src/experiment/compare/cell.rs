//! One cell of the table: a file of distances, and its first samples to look at.
use crate::experiment::config::ArmSampler;
use crate::experiment::files::write_bytes;
use crate::sample::SamplerConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A cell to be: its sampler, its budget, and how it is sampled.
pub(super) struct Planned {
    pub sampler: ArmSampler,
    pub evaluations: usize,
    pub config: SamplerConfig,
}

/// A cell of the table, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::experiment) struct Cell {
    pub arm: String,
    pub seed: u64,
    pub sampler: String,
    pub evaluations: usize,
    pub steps: usize,
    /// By the name of the metric.
    pub distances: BTreeMap<String, f64>,
    /// The time that sampling and measuring took.
    pub seconds: f64,
}

/// Samples kept of a cell.
pub(super) const SHOWN: usize = 16;

/// The file of the first samples of a cell, f32 one after the other.
fn samples_file(cell: &Path) -> PathBuf {
    cell.with_extension("f32")
}

/// Keeps the first samples of a cell of pictures.
pub(super) fn keep_samples(cell: &Path, values: &[f32], [channels, height, width]: [usize; 3]) -> Result<()> {
    if height * width == 1 || channels != 1 && channels != 3 {
        return Ok(());
    }
    let shown = values.len().min(SHOWN * channels * height * width);
    let bytes: Vec<u8> = values[..shown].iter().flat_map(|value| value.to_le_bytes()).collect();
    write_bytes(&samples_file(cell), &bytes)
}

/// The first samples of a cell; none if they were not kept.
pub(super) fn kept_samples(cell: &Path) -> Result<Option<Vec<f32>>> {
    let file = samples_file(cell);
    if !file.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
    let value = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
    Ok(Some(bytes.chunks_exact(4).map(value).collect()))
}
