//! The JSON of a table of numbers.
use crate::data::{DataSplit, HeldOut};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A CSV file, or a two-dimensional `.npy` file. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VectorsConfig {
    /// The file; its name ends in `.csv`, `.tsv`, `.txt` or `.npy`.
    pub file: PathBuf,
    /// The columns that make a vector, by name, or by number from 0 in a file without names; all but the label if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The column of the class, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether each column is brought to mean 0 and deviation 1 over the training rows.
    #[serde(default = "yes")]
    pub standardize: bool,
    /// Multiplies every value, after standardisation; finite, > 0.
    #[serde(default = "one")]
    pub scale: f64,
    /// What is held out: a share of each class, or a number of rows in all. One of each class at least.
    #[serde(default = "fifth")]
    pub held_out: HeldOut,
    /// Seed of the split.
    #[serde(default)]
    pub seed: u64,
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn fifth() -> HeldOut {
    HeldOut::Share(0.2)
}

impl VectorsConfig {
    /// All columns of `file`, with defaults for the rest.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            columns: None,
            label: None,
            standardize: true,
            scale: 1.0,
            held_out: fifth(),
            seed: 0,
        }
    }

    /// Every violated condition that shows without the file, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named = !self.file.as_os_str().is_empty();
        Problem::unless(&mut problems, named, path, "file", "\"\"", "must name a file");
        let some = self.columns.as_ref().is_none_or(|columns| !columns.is_empty());
        Problem::unless(&mut problems, some, path, "columns", "[]", "must name a column, or be left out for all");
        let columns = self.columns.iter().flatten();
        for (i, column) in columns.clone().enumerate() {
            let key = format!("columns[{i}]");
            let once = columns.clone().position(|other| other == column) == Some(i);
            Problem::unless(&mut problems, once, path, &key, format!("{column:?}"), "must not be repeated");
            let no_label = self.label.as_ref() != Some(column);
            Problem::unless(&mut problems, no_label, path, &key, format!("{column:?}"), "is the label");
        }
        let valid = self.scale.is_finite() && self.scale > 0.0;
        Problem::unless(&mut problems, valid, path, "scale", self.scale, "must be finite and > 0");
        problems.extend(self.held_out.problems(path));
        problems
    }

    /// Reads, splits and scales the table.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition, [`Error::Io`] or [`Error::Format`] naming the file, row and column.
    pub fn open(&self) -> Result<DataSplit> {
        Error::if_any(self.problems("data"))?;
        super::scale::open(self)
    }
}
