//! `mixflow compare`.
use crate::{choose_gamma, place, say, workers};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{Comparison, ComparisonResults, check_folder, comparison_takes};
use burn_mixflow::{FolderLock, Result};
use std::path::Path;

/// The table of arms.
pub fn run(config: ExperimentConfig, folder: &Path) -> Result<()> {
    let results = fill(config, folder)?;
    say::result(&format!("\n{}", results.markdown()));
    say::line(format!("written: {}: results.json, table.md, pictures", folder.display()));
    Ok(())
}

/// Fills the table and draws it, in the files of `folder`.
pub fn fill(config: ExperimentConfig, folder: &Path) -> Result<ComparisonResults> {
    filled(config, folder, Comparison::draw)
}

/// The same without pictures, which take longer than the rows where there are dozens of samplers.
pub fn fill_rows(config: ExperimentConfig, folder: &Path) -> Result<ComparisonResults> {
    filled(config, folder, |_, _| Ok(()))
}

/// Fills the table, and does `draw` while the folder is locked.
fn filled(
    config: ExperimentConfig,
    folder: &Path,
    draw: impl FnOnce(&Comparison, &ComparisonResults) -> Result<()>,
) -> Result<ComparisonResults> {
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
    draw(&comparison, &results)?;
    Ok(results)
}
