//! `mixflow sample`.
use crate::place::{self, FinishedRun};
use crate::{post_train, say};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::PathBuf;

/// What to sample, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a finished run.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    run: PathBuf,
    /// How many; `sample.count` of the run if left out.
    #[arg(long)]
    count: Option<usize>,
    /// The seed of noise and labels; `sample.seed` of the run if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Where samples go; the run's own folder if left out.
    #[arg(long, value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Replace a value of the run's configuration, as in --set sample.sampler.steps=50; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::setting)]
    set: Vec<String>,
}

/// Samples from the average of a finished run.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut settings = arguments.set.clone();
    settings.extend(arguments.count.map(|count| format!("sample.count={count}")));
    settings.extend(arguments.seed.map(|seed| format!("sample.seed={seed}")));
    let FinishedRun { config, file, weights } = FinishedRun::find(&arguments.run, &settings)?;
    let folder = arguments.folder.clone().unwrap_or_else(|| weights.clone());
    let _lock = FolderLock::take(&folder)?;
    let experiment =
        place::open_to_sample(config).map_err(|error| ExperimentConfig::of_file(error, &file, &settings))?;
    say::line(format!("weights: {}", weights.display()));
    post_train::samples(&experiment, &experiment.trained(&weights)?, &folder).map(drop)
}
