//! Chooses γ by pilots: short post-trainings, sampled with the steps it is to be chosen for.
//!
//! `cargo run --release --example choose_gamma -- configs/photos/auto.json`
//!
//! Takes a run whose strategy says `"gamma": "auto"`, and chooses for its steps; or a sweep of γ as `ablate` takes it,
//! and chooses for every distance and number of steps. Killed and started again, it goes on where it was.
#[path = "shared/choose.rs"]
mod choose;
#[path = "shared/command.rs"]
mod command;
#[path = "shared/workers.rs"]
mod workers;

use burn_mixflow::experiment::GammaSearch;
use burn_mixflow::experiment::config::{AblationConfig, GammaSearchConfig, RunConfig};
use burn_mixflow::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str =
    "usage: choose_gamma CONFIG.json [FOLDER]   (pilots go to FOLDER, by default runs/GROUP-NAME-pilots)";

fn main() -> ExitCode {
    workers::as_worker().unwrap_or_else(|| command::main(USAGE, run))
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let folder = folder.unwrap_or_else(|| command::folder(file, "-pilots"));
    let (text, cache) = (std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?, Path::new(workers::CACHE));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let (search, evaluate) = if json.get("arms").is_some() {
        let sweep = AblationConfig::parse(&text)?;
        (GammaSearch::of_sweep(&sweep, &GammaSearchConfig::default(), &folder, cache)?, None)
    } else {
        let config = RunConfig::parse(&text)?;
        if !config.post_train.strategy.is_auto() {
            let message = "post_train.strategy.gamma: must be \"auto\" to have it chosen";
            return Err(Error::Invalid(message.into()));
        }
        (GammaSearch::of_run(&config, &folder, cache)?, Some(config.evaluate))
    };
    println!("pilots: {}", folder.display());
    let mut choices = search.run(&mut |pilots, jobs| workers::run(pilots, jobs, &folder))?;
    if let Some(evaluate) = evaluate {
        choices.iter_mut().for_each(|choice| search.explain(choice, &evaluate));
    }
    search.pilots().write_results()?;
    choose::report(&choices, &folder)?;
    println!("\nwritten: {}/{{gamma.json,results.json,table.md,*.svg}}", folder.display());
    Ok(())
}
