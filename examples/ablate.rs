//! A table of arms × samplers × budgets × seeds, from one JSON.
//!
//! `cargo run --release --example ablate -- configs/photos/ablation.json`
//!
//! Jobs (an arm at a seed) run in processes of their own, each with its share of the cores. Killed and started again,
//! it goes on where it was.
#[path = "shared/command.rs"]
mod command;
#[path = "shared/workers.rs"]
mod workers;

use burn_mixflow::Result;
use burn_mixflow::experiment::Ablation;
use burn_mixflow::experiment::config::AblationConfig;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: ablate CONFIG.json [FOLDER]   (results go to FOLDER, by default runs/GROUP-NAME)";

fn main() -> ExitCode {
    workers::as_worker().unwrap_or_else(|| command::main(USAGE, run))
}

fn run(file: &Path, folder: Option<PathBuf>) -> Result<()> {
    let folder = folder.unwrap_or_else(|| command::folder(file, ""));
    let ablation = Ablation::open(AblationConfig::read(file)?, &folder, Path::new(workers::CACHE))?;
    println!("results: {}", folder.display());
    workers::run(&ablation, &ablation.jobs(), &folder)?;
    println!("\n{}", ablation.write_results()?);
    println!("written: {}/{{results.json,table.md,*.svg}}", folder.display());
    Ok(())
}
