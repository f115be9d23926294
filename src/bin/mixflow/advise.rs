//! `mixflow advise`.
use crate::place::CACHE;
use crate::{Experiment, say, signals, workers};
use burn_mixflow::experiment::advise::{Advice, Advisor, Question};
use burn_mixflow::experiment::check_folder;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{FolderLock, Result};
use clap::Args;
use std::path::Path;

/// Below the folder of an experiment.
const FOLDER: &str = "advise";

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
    let question = Question {
        evaluations: (!asked.evaluations.is_empty()).then(|| asked.evaluations.clone()),
        metric: asked.metric.clone(),
        minutes: asked.minutes,
    };
    let (_, text) = answer(config, folder, &question)?;
    say::result(&format!("\n{text}"));
    let folder = folder.join(FOLDER).display().to_string();
    say::line(format!("written: {folder}: advice.json, advice.md, sections to paste, distances.svg"));
    Ok(())
}

/// The advice and its text, whose files go below `folder`.
pub fn answer(config: ExperimentConfig, folder: &Path, question: &Question) -> Result<(Advice, String)> {
    check_folder(folder, &config)?;
    let folder = folder.join(FOLDER);
    let _lock = FolderLock::take(&folder)?;
    let advisor = Advisor::open(config, question, (&folder, Path::new(CACHE)), say::progress())?;
    let advisor = advisor.stopped_by(&signals::stop());
    say::line(format!("results: {}", folder.display()));
    advisor.run(&mut |table, jobs| workers::run(table, jobs), &mut |line| say::line(line))
}
