//! `mixflow export`.
use crate::place::{self, FinishedRun};
use crate::say;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::weights::ExportType;
use burn_mixflow::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a finished run.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    run: PathBuf,
    /// The file to write; its name ends in .safetensors.
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// The type of its numbers.
    #[arg(long, default_value = "f32")]
    dtype: Type,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Type {
    /// 32 bits.
    F32,
    /// 16 bits with five for the exponent: half the size, and most of the digits of small weights.
    F16,
    /// 16 bits with the range of f32.
    Bf16,
}

/// Writes the average of a finished run under official names.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.file.extension().is_none_or(|ending| ending != "safetensors") {
        let file = arguments.file.display();
        return Err(Error::Invalid(format!("{file}: the name must end in .safetensors, the format that is written")));
    }
    let FinishedRun { config, file, weights } = FinishedRun::find(&arguments.run, &[])?;
    let experiment = place::open_to_sample(config).map_err(|error| ExperimentConfig::of_file(error, &file, &[]))?;
    let dtype = match arguments.dtype {
        Type::F32 => ExportType::F32,
        Type::F16 => ExportType::F16,
        Type::Bf16 => ExportType::Bf16,
    };
    experiment.trained(&weights)?.export_as(&arguments.file, dtype)?;
    say::line(format!("weights: {}", arguments.file.display()));
    Ok(())
}
