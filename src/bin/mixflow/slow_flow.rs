//! `mixflow slow-flow`.
use crate::{choose_gamma, place, say};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::slow_flow::{Report, before_and_after};
use burn_mixflow::experiment::{Comparison, check_folder};
use burn_mixflow::{FolderLock, Result};
use std::path::Path;

/// Slow Flow before and after post-training.
pub fn run(config: ExperimentConfig, folder: &Path) -> Result<()> {
    let report = measure(config, folder)?;
    say::result(&format!("\n{}", report.markdown()));
    say::line(format!("written: {}: slow_flow.json, .csv, .png, .svg, table.md", folder.join(FOLDER).display()));
    Ok(())
}

/// Below the folder of an experiment.
const FOLDER: &str = "slow_flow";

/// Measures, and writes its files below `folder`.
pub fn measure(config: ExperimentConfig, folder: &Path) -> Result<Report> {
    check_folder(folder, &config)?;
    let (config, lock) = choose_gamma::decided(config, folder)?;
    let experiment = place::open(config)?;
    let _lock = lock.map_or_else(|| FolderLock::take(folder), Ok)?;
    let comparison = Comparison::open(experiment, folder)?;
    let folder = folder.join(FOLDER);
    say::line(format!("results: {}", folder.display()));
    let (measured, report) = before_and_after(&comparison)?;
    for advice in &report.recommendations {
        let gamma = advice.gamma.map_or("none".into(), |gamma| gamma.to_string());
        say::line(format!("\n{} steps: γ = {gamma}", advice.steps));
        advice.reasons.iter().for_each(|reason| say::line(format!("  {reason}")));
    }
    for found in &report.measured {
        let strategy = serde_json::to_string(&found.strategy).unwrap_or_default();
        say::line(format!("\n{} steps, γ by t: \"strategy\": {strategy}", found.steps));
    }
    report.write(&folder, &measured)?;
    Ok(report)
}
