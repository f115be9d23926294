//! `mixflow check`.
use crate::place::CACHE;
use crate::say;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{check, check_folder};
use burn_mixflow::{Error, Result};
use std::path::Path;

/// Opens everything, and says whether it is ready.
pub fn run(config: ExperimentConfig, folder: &Path) -> Result<()> {
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
    let list: Vec<String> = report.wrong.iter().map(|wrong| format!("  {wrong}")).collect();
    Err(Error::Invalid(format!("not ready:\n{}", list.join("\n"))))
}
