//! Handwritten digits, 8×8: x = scale · (v / 8 − 1) for v in 0..=16.
//!
//! The test split of UCI's "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, CC BY 4.0).
use super::memory::Numbered;
use super::{DataSet, DataSplit};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Problem, Result};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const NAME: &str = "data/digits.csv.gz";
const BYTES: &[u8] = include_bytes!("../../data/digits.csv.gz");
pub(super) const COUNT: usize = 1797;
const PIXELS: usize = 64;

/// How the digits are scaled and split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DigitsConfig {
    /// Pixels are in `[-scale, scale]`; in (0, 1]. Small values help MixFlow on images this small.
    pub scale: f32,
    /// Number of held-out digits, in 1..=1796; the others are for training.
    pub held_out: usize,
    /// Seed of the split.
    pub seed: u64,
}

impl Default for DigitsConfig {
    fn default() -> Self {
        Self { scale: 0.25, held_out: 360, seed: 0 }
    }
}

impl DigitsConfig {
    /// Every violated condition, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (scale, held_out) = (self.scale, self.held_out);
        Problem::unless(&mut problems, scale > 0.0 && scale <= 1.0, path, "scale", scale, "must be in (0, 1]");
        let last = COUNT - 1;
        let some = (1..=last).contains(&held_out);
        Problem::unless(&mut problems, some, path, "held_out", held_out, format!("must be in 1..={last}"));
        problems
    }
}

/// One row: 64 values in 0..=16, then the label in 0..=9.
fn parse(record: &csv::StringRecord) -> Option<([f32; PIXELS], i64)> {
    if record.len() != PIXELS + 1 {
        return None;
    }
    let mut values = [0.0; PIXELS];
    for (value, field) in values.iter_mut().zip(record) {
        *value = field.trim().parse().ok().filter(|v| (0.0..=16.0).contains(v))?;
    }
    let label: f32 = record[PIXELS].trim().parse().ok().filter(|v| (0.0..=9.0).contains(v))?;
    Some((values, label as i64))
}

/// Decodes and splits the digits. `config` has no problems.
pub(super) fn load(config: &DigitsConfig) -> Result<DataSplit> {
    let reader = flate2::read::GzDecoder::new(BYTES);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(reader);
    let mut rows = Vec::with_capacity(COUNT);
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|e| Error::format(NAME, e.to_string()))?;
        let bad = || Error::format(NAME, format!("row {} is not 64 values in 0..=16 and a label in 0..=9", line + 1));
        rows.push(parse(&record).ok_or_else(bad)?);
    }
    if rows.len() != COUNT {
        return Err(Error::format(NAME, format!("{} rows instead of {COUNT}", rows.len())));
    }

    // Ordering by keyed random numbers is a uniform permutation that depends on no library's shuffle.
    let ticket = |index: &usize| {
        SampleKey { seed: config.seed, epoch: 0, position: *index as u64 }.rng(Purpose::Data).next_u64()
    };
    let mut order: Vec<usize> = (0..COUNT).collect();
    order.sort_by_cached_key(ticket);

    let shape = [1, 8, 8];
    let set = |indices: &[usize]| {
        let scaled = |v: f32| config.scale * (v / 8.0 - 1.0);
        let pixels = indices.iter().flat_map(|i| rows[*i].0.map(scaled)).collect();
        let labels = indices.iter().map(|i| rows[*i].1).collect();
        DataSet::named(shape, pixels, labels, indices.to_vec(), Arc::new(Numbered("digit")))
    };
    let (held_out, train) = order.split_at(config.held_out);
    Ok(DataSplit::new(set(train)?, set(held_out)?, 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    #[test]
    fn the_labels_are_those_of_the_published_set() {
        let split = load(&DigitsConfig::default()).unwrap();
        let mut histogram = [0; 10];
        for label in split.train.labels().iter().chain(split.held_out.labels()) {
            histogram[*label as usize] += 1;
        }
        assert_eq!(histogram, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!((split.train.len(), split.held_out.len(), split.classes), (1437, 360, 10));
    }

    #[test]
    fn pixels_fill_the_scaled_range() {
        let split = load(&DigitsConfig { scale: 0.5, ..Default::default() }).unwrap();
        let (low, high) =
            split.train.in_memory().unwrap().iter().fold((9.0f32, -9.0f32), |(l, h), v| (l.min(*v), h.max(*v)));
        assert_eq!((low, high), (-0.5, 0.5));
        assert_eq!(split.train.get(0).unwrap().data.len(), 64);
    }

    #[test]
    fn the_seed_decides_the_split() {
        let held_out =
            |seed| load(&DigitsConfig { seed, ..Default::default() }).unwrap().held_out.in_memory().unwrap().to_vec();
        assert_eq!(held_out(3), held_out(3));
        assert_ne!(held_out(3), held_out(4));
    }
}
