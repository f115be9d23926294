//! `mixflow check`.
use crate::Experiment;
use crate::place::CACHE;
use crate::say;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::{check, check_folder};
use burn_mixflow::{Error, Result};
use clap::Args;
use std::path::Path;

/// What to open, and for which card.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    experiment: Experiment,
    /// Say the largest batch that a card of so many GB (10^9 bytes) holds.
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    card: Option<f64>,
}

fn gigabytes(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "must be a positive number of GB, as 24".into())
}

/// Opens everything, and says whether it is ready.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { experiment, card } = arguments;
    experiment.run(|config, folder| ready(config, folder, &experiment.config, &experiment.set, *card))
}

/// `file` and `settings` are where the configuration comes from.
fn ready(config: ExperimentConfig, folder: &Path, file: &Path, settings: &[String], card: Option<f64>) -> Result<()> {
    check_folder(folder, &config)?;
    let report = check(config, Path::new(CACHE), say::progress());
    for seen in &report.seen {
        say::result(&format!("{:<18} {}", seen.what, seen.found.replace("; ", &format!("\n{:<18} ", ""))));
    }
    if let (Some(card), Some(footprint)) = (card, &report.footprint) {
        let of = format!("a card of {card} GB");
        say::result(&match footprint.largest_batch((1e9 * card) as u64) {
            Some(batch) => format!("{of:<18} holds a batch_size of {batch}, with the same accumulation and devices"),
            None => format!("{of:<18} does not hold one sample: see `adapter`, `checkpointing` and `precision`"),
        });
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
