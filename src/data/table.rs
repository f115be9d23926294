//! Measurements of 569 tumours, 30 features each: x = (v − mean)/deviation of each feature over the training rows.
//!
//! UCI's "Breast Cancer Wisconsin (Diagnostic)" (CC BY 4.0). A row is an image `[30, 1, 1]`, without its label.
use super::memory::Numbered;
use super::{DataSet, DataSplit};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Problem, Result};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const NAME: &str = "data/breast_cancer.csv";
const TEXT: &str = include_str!("../../data/breast_cancer.csv");
pub(super) const COUNT: usize = 569;
pub(super) const FEATURES: usize = 30;

/// How the table is scaled and split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// The standard deviation of every feature; finite, > 0.
    pub scale: f32,
    /// Number of held-out rows, in 2..=567; the others are for training.
    pub held_out: usize,
    /// Seed of the split.
    pub seed: u64,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self { scale: 1.0, held_out: 169, seed: 0 }
    }
}

impl TableConfig {
    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (scale, held_out) = (self.scale, self.held_out);
        let valid = scale.is_finite() && scale > 0.0;
        Problem::unless(&mut problems, valid, path, "scale", scale, "must be finite and > 0");
        let some = (2..=COUNT - 2).contains(&held_out);
        let range = format!("must be in 2..={}", COUNT - 2);
        Problem::unless(&mut problems, some, path, "held_out", held_out, range);
        problems
    }
}

fn rows() -> Result<Vec<Vec<f64>>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(TEXT.as_bytes());
    let mut rows = Vec::with_capacity(COUNT);
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|e| Error::format(NAME, e.to_string()))?;
        let values: Vec<f64> = record.iter().map_while(|field| field.trim().parse().ok()).collect();
        if values.len() != FEATURES + 1 {
            return Err(Error::format(NAME, format!("row {} is not {FEATURES} numbers and a label", line + 1)));
        }
        rows.push(values[..FEATURES].to_vec());
    }
    if rows.len() != COUNT {
        return Err(Error::format(NAME, format!("{} rows instead of {COUNT}", rows.len())));
    }
    Ok(rows)
}

/// Decodes, splits and scales the table. `config` has no problems.
pub(super) fn load(config: &TableConfig) -> Result<DataSplit> {
    let rows = rows()?;
    let ticket = |index: &usize| {
        SampleKey { seed: config.seed, epoch: 0, position: *index as u64 }.rng(Purpose::Data).next_u64()
    };
    let mut order: Vec<usize> = (0..COUNT).collect();
    order.sort_by_cached_key(ticket);
    let (held_out, train) = order.split_at(config.held_out);

    let count = train.len() as f64;
    let mean: Vec<f64> = (0..FEATURES).map(|j| train.iter().map(|i| rows[*i][j]).sum::<f64>() / count).collect();
    let deviation = |j: usize| (train.iter().map(|i| (rows[*i][j] - mean[j]).powi(2)).sum::<f64>() / count).sqrt();
    // Nothing is scaled where a split is so small that a feature does not vary.
    let inverse: Vec<f64> = (0..FEATURES).map(deviation).map(|d| if d > 0.0 { d.recip() } else { 0.0 }).collect();

    let shape = [FEATURES, 1, 1];
    let set = |indices: &[usize]| {
        let scaled = |i: usize| {
            let (mean, inverse, scale) = (&mean, &inverse, f64::from(config.scale));
            rows[i].iter().enumerate().map(move |(j, v)| (scale * (v - mean[j]) * inverse[j]) as f32)
        };
        let values = indices.iter().flat_map(|i| scaled(*i).collect::<Vec<f32>>()).collect();
        DataSet::named(shape, values, vec![0; indices.len()], indices.to_vec(), Arc::new(Numbered("row")))
    };
    Ok(DataSplit::new(set(train)?, set(held_out)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_features_are_standardised() {
        let split = load(&TableConfig { scale: 0.5, ..Default::default() }).unwrap();
        assert_eq!((split.train.len(), split.held_out.len(), split.shape), (400, 169, [30, 1, 1]));
        let values = split.train.in_memory().unwrap();
        for j in 0..FEATURES {
            let column: Vec<f64> = values.iter().skip(j).step_by(FEATURES).map(|v| f64::from(*v)).collect();
            let mean = column.iter().sum::<f64>() / 400.0;
            let square = column.iter().map(|v| v * v).sum::<f64>() / 400.0;
            assert!(mean.abs() < 1e-6 && (square - 0.25).abs() < 1e-5, "{j}: {mean} {square}");
        }
    }
}
