//! Rows to items: split by a hash of the row's number, each column standardised over the training rows.
use super::VectorsConfig;
use super::table::{self, Table};
use crate::data::memory::Numbered;
use crate::data::{DataSet, DataSplit, Scaling, hold_out, listing};
use crate::{Error, Result};
use std::sync::Arc;

/// Mean and deviation of a column over the training rows.
#[derive(Debug, Clone, Copy)]
struct Column {
    mean: f64,
    /// 1 where the column does not vary.
    deviation: f64,
    constant: bool,
}

impl Column {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let deviation = (values.clone().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        // The mean of equal numbers is not always that number.
        match low == high {
            true => Self { mean: low, deviation: 1.0, constant: true },
            false => Self { mean, deviation, constant: false },
        }
    }
}

/// Reads, splits and scales the table. `config` has no problems.
pub(super) fn open(config: &VectorsConfig) -> Result<DataSplit> {
    let Table { columns, values, classes, mut notes } = table::read(config)?;
    let (width, rows) = (columns.len(), classes.labels.len());
    let names: Vec<String> = (0..rows).map(|row| format!("row {}", row + 1)).collect();
    let [stay, out] = hold_out::parts(&names, &classes.labels, config.held_out, config.seed, &config.file)?;
    let column = |j: usize| Column::of(stay.iter().map(|row| values[row * width + j]));
    let scales: Vec<Column> = (0..width).map(column).collect();
    let constant: Vec<&str> =
        scales.iter().zip(&columns).filter(|(c, _)| c.constant).map(|(_, n)| n.as_str()).collect();
    if !constant.is_empty() {
        let (count, shown) = (constant.len(), listing::first(&constant));
        notes.push(format!("{count} column(s) do not vary over the training rows, and tell a network nothing:{shown}"));
    }
    // x = (v − mean)·factor.
    let affine = |column: &Column| match config.standardize {
        true => (config.scale / column.deviation, column.mean),
        false => (config.scale, 0.0),
    };
    let scales: Vec<(f64, f64)> = scales.iter().map(affine).collect();
    // Numbers that f32 holds may be too large for it once they are scaled, or their mean for f64.
    let scaled = |place: usize, v: &f64| ((v - scales[place % width].1) * scales[place % width].0) as f32;
    if let Some(place) = values.iter().enumerate().position(|(place, v)| !scaled(place, v).is_finite()) {
        let (row, column) = (place / width + 1, &columns[place % width]);
        let message = format!("row {row}, column `{column}` is too large once it is scaled: make `scale` smaller");
        return Err(Error::format(&config.file, message));
    }
    let shape = [width, 1, 1];
    let part = |places: Vec<usize>| {
        let row = |row: &usize| values[row * width..][..width].iter().zip(&scales);
        let scaled = places.iter().flat_map(row).map(|(v, (factor, mean))| ((v - mean) * factor) as f32);
        let labels = places.iter().map(|row| classes.labels[*row]).collect();
        DataSet::named(shape, scaled.collect(), labels, places, Arc::new(Numbered("row")))
    };
    let split = DataSplit::new(part(stay.clone())?, part(out)?, classes.names.len());
    let (factor, offset) = scales.iter().map(|(factor, mean)| (*factor as f32, (-mean * factor) as f32)).unzip();
    Ok(DataSplit { scaling: Scaling::affine(shape, factor, offset), notes, ..split })
}
