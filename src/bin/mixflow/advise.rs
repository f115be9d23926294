//! `mixflow advise`.
use crate::place::CACHE;
use crate::{Experiment, say, signals, workers};
use burn_mixflow::experiment::advise::{Advisor, Question};
use burn_mixflow::experiment::check_folder;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::Path;

/// An experiment, and what is asked about it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub experiment: Experiment,
    #[command(flatten)]
    pub question: Asked,
}

/// The question.
#[derive(Debug, Args)]
pub struct Asked {
    /// Network evaluations per sample, as 10 or 5,10; the middle one of compare.evaluations if left out.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    evaluations: Vec<usize>,
    /// The distance to judge by, as results.json names it; the first of the data's if left out.
    #[arg(long, value_name = "DISTANCE")]
    metric: Option<String>,
    /// How long it may take, pretraining not counted.
    #[arg(long, default_value_t = 15.0)]
    minutes: f64,
}

/// Whether it is worth it.
pub fn run(config: ExperimentConfig, folder: &Path, asked: &Asked) -> Result<()> {
    check_folder(folder, &config)?;
    let folder = folder.join("advise");
    let _lock = FolderLock::take(&folder)?;
    let question = Question {
        evaluations: (!asked.evaluations.is_empty()).then(|| asked.evaluations.clone()),
        metric: asked.metric.clone(),
        minutes: asked.minutes,
    };
    let advisor = Advisor::open(config, &question, (&folder, Path::new(CACHE)), say::progress())?;
    let advisor = advisor.stopped_by(&signals::stop());
    say::line(format!("results: {}", folder.display()));
    let (_, text) = advisor.run(&mut |table, jobs| workers::run(table, jobs), &mut |line| say::line(line))?;
    say::result(&format!("\n{text}"));
    say::line(format!("written: {}: advice.json, advice.md, sections to paste, distances.svg", folder.display()));
    Ok(())
}
