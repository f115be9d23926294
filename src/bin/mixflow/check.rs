//! `mixflow check`.
use crate::place::CACHE;
use crate::say;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{check, check_folder};
use burn_mixflow::{Error, Result};
use std::path::Path;

/// Opens everything, and says whether it is ready. `file` and `settings` are where the configuration comes from.
pub fn run(config: ExperimentConfig, folder: &Path, file: &Path, settings: &[String]) -> Result<()> {
    check_folder(folder, &config)?;
    let report = check(config, Path::new(CACHE), say::progress());
    for seen in &report.seen {
        say::result(&format!("{:<18} {}", seen.what, seen.found.replace("; ", &format!("\n{:<18} ", ""))));
    }
    for doubt in &report.doubtful {
        say::result(&format!("doubtful: {doubt}"));
    }
    if report.is_ready() {
        say::result("ready");
        return Ok(());
    }
    if report.wrong.is_empty() {
        return Err(Error::Config(report.problems));
    }
    let mut list: Vec<String> = report.wrong.iter().map(|wrong| format!("  {wrong}")).collect();
    if !report.problems.is_empty() {
        list.push(ExperimentConfig::of_file(Error::Config(report.problems), file, settings).to_string());
    }
    Err(Error::Invalid(format!("{}: not ready:\n{}", file.display(), list.join("\n"))))
}
