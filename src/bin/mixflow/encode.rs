//! `mixflow encode`.
use crate::say;
use burn_mixflow::experiment::encode::{EncodeConfig, encode};
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::PathBuf;

/// What to encode.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file that describes the encoding: pictures, networks, and where latents go.
    #[arg(value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
}

/// Pictures to latents, features and embedded captions.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = EncodeConfig::read(&arguments.config)?;
    let _lock = FolderLock::take(&config.to)?;
    let report = encode(&config, say::progress().as_ref())?;
    report.notes.iter().for_each(|note| say::line(note.clone()));
    for skipped in &report.skipped {
        say::line(format!("skipped: {}: {}", skipped.picture, skipped.reason));
    }
    say::result(&format!(
        "{} encoded, {} were there, {} skipped; {} holds the `data` section, for \"extends\"",
        report.encoded,
        report.there,
        report.skipped.len(),
        report.data.display()
    ));
    Ok(())
}
