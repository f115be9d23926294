//! `mixflow compare`.
use crate::{choose_gamma, place, say, workers};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{Comparison, check_folder, comparison_takes};
use burn_mixflow::{FolderLock, Result};
use std::path::Path;

/// The table of arms.
pub fn run(config: ExperimentConfig, folder: &Path) -> Result<()> {
    check_folder(folder, &config)?;
    let (config, lock) = choose_gamma::decided(config, folder)?;
    let experiment = place::open(config)?;
    let _lock = lock.map_or_else(|| FolderLock::take(folder), Ok)?;
    let comparison = Comparison::open(experiment, folder)?;
    say::line(format!("results: {}", folder.display()));
    let experiment = comparison.experiment();
    let left = comparison.jobs().into_iter().any(|job| comparison.work(job) > 0.0);
    if left && !experiment.config().start.is_exact() {
        say::line(format!("this takes {}", comparison_takes(&comparison, &experiment.time_steps()?)));
    }
    workers::run(&comparison, &comparison.jobs())?;
    let results = comparison.write_results()?;
    say::result(&format!("\n{}", results.markdown()));
    comparison.draw(&results)?;
    say::line(format!("written: {}: results.json, table.md, pictures", folder.display()));
    Ok(())
}
