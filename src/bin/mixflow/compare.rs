//! `mixflow compare`.
use crate::place::CACHE;
use crate::{choose_gamma, say, workers};
use burn_mixflow::Result;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{Comparison, Experiment, check_folder};
use std::path::Path;

/// The table of arms.
pub fn run(config: ExperimentConfig, folder: &Path) -> Result<()> {
    check_folder(folder, &config)?;
    let config = choose_gamma::decided(config, folder)?;
    let comparison = Comparison::open(Experiment::open(config, Path::new(CACHE))?, folder)?;
    say::line(format!("results: {}", folder.display()));
    workers::run(&comparison, &comparison.jobs())?;
    say::result(&format!("\n{}", comparison.write_results()?));
    say::line(format!("written: {}: results.json, table.md, pictures", folder.display()));
    Ok(())
}
