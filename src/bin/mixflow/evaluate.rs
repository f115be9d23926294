//! `mixflow evaluate`.
use crate::say;
use burn_mixflow::experiment::sets::{MeasureOptions, SampleSet, measure_sets};
use burn_mixflow::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// Which sets to compare.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The reference: a folder of pictures, or a .npz, .npy or .safetensors file.
    #[arg(value_hint = clap::ValueHint::AnyPath, value_name = "A")]
    reference: PathBuf,
    /// The samples that are compared with it: the same kinds.
    #[arg(value_hint = clap::ValueHint::AnyPath, value_name = "B")]
    samples: PathBuf,
    /// The seed of the fixed random convolution features.
    #[arg(long, default_value_t = 0)]
    feature_seed: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Every distance between two sets of samples.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (reference, samples) = (SampleSet::read(&arguments.reference)?, SampleSet::read(&arguments.samples)?);
    let options = MeasureOptions { feature_seed: arguments.feature_seed, ..MeasureOptions::default() };
    let report = measure_sets(&reference, &samples, &options)?;
    match arguments.json {
        true => {
            let text = serde_json::to_string_pretty(&report).map_err(|e| Error::Invalid(e.to_string()))?;
            say::result(&text);
        }
        false => say::result(&report.markdown()),
    }
    Ok(())
}
