//! `mixflow status` and `mixflow runs`.
use crate::{place, say};
use burn_mixflow::experiment::status::{Health, TrainingStatus, trainings, trainings_read};
use burn_mixflow::{Error, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Which training.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of a run, or of one training in it.
    #[arg(value_hint = clap::ValueHint::DirPath)]
    run: PathBuf,
}

/// Below which folder.
#[derive(Debug, Args)]
pub struct RunsArguments {
    /// The folder that holds runs.
    #[arg(value_hint = clap::ValueHint::DirPath, default_value = place::RUNS)]
    folder: PathBuf,
}

/// Everything known of the trainings of one run.
pub fn run(arguments: &Arguments) -> Result<()> {
    let found = found(&arguments.run, trainings_read)?;
    for training in &found {
        say::result(&printable(&training.folder));
        for (what, text) in lines(training) {
            say::result(&format!("  {what:<12} {text}"));
        }
    }
    Ok(())
}

/// A line for each training.
pub fn runs(arguments: &RunsArguments) -> Result<()> {
    let found = found(&arguments.folder, trainings)?;
    let name = |training: &TrainingStatus| {
        let path = training.folder.strip_prefix(&arguments.folder).unwrap_or(&training.folder);
        if path.as_os_str().is_empty() { ".".to_string() } else { printable(path) }
    };
    let mut rows = vec![["training", "step", "loss", "valid", "left", "saved", "health"].map(str::to_string)];
    rows.extend(found.iter().map(|training| {
        let row =
            [steps(training), number(training.loss), number(training.validation), left(training), saved(training)];
        let [step, loss, valid, left, saved] = row;
        [name(training), step, loss, valid, left, saved, health(training)]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say::result(cells.join("  ").trim_end());
    }
    Ok(())
}

fn found(folder: &Path, look: impl Fn(&Path) -> Vec<TrainingStatus>) -> Result<Vec<TrainingStatus>> {
    let found = look(folder);
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::Invalid(format!(
            "{}: no training was found there or below; pretraining lies in {}, as `mixflow runs` shows it",
            folder.display(),
            place::CACHE
        ))),
    }
}

/// A path without the control characters that a name may hold, which a terminal would obey.
fn printable(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

fn lines(training: &TrainingStatus) -> Vec<(&'static str, String)> {
    let mut lines = vec![("health", health(training)), ("step", steps(training))];
    if let Some(loss) = training.loss {
        lines.push(("loss", format!("{loss:.4}")));
    }
    if let Some(loss) = training.validation {
        let best = training.best.map_or(String::new(), |(best, step)| format!("; best {best:.4} at step {step}"));
        lines.push(("validation", format!("{loss:.4}{best}")));
    }
    lines.push(("left", left(training)));
    lines.push(("last save", saved(training)));
    let sittings = training.sittings;
    lines.push(("trained", format!("{} in {sittings} process(es)", say::duration(training.seconds))));
    if training.skipped > 0 || training.rollbacks > 0 {
        let (skipped, returns) = (training.skipped, training.rollbacks);
        lines.push((
            "not finite",
            format!("{skipped} update(s) left out, {returns} return(s) to an earlier checkpoint"),
        ));
    }
    for (difference, step) in &training.accepted {
        lines.push(("changed", format!("{difference}, accepted after step {step}")));
    }
    lines
}

fn health(training: &TrainingStatus) -> String {
    match &training.health {
        Health::Finished => "finished".into(),
        Health::InWork { by } => format!("in work by {by}"),
        Health::Stopped { passed_over } if passed_over.is_empty() => "stopped; the same command goes on".into(),
        Health::Stopped { passed_over } => {
            format!("stopped; the same command goes on from step {}, past {}", training.step, passed_over.join("; "))
        }
        Health::Failed { why } => format!("failed: {why}"),
        Health::Damaged { why } => format!("cannot go on: {}", why.join("; ")),
    }
}

fn steps(training: &TrainingStatus) -> String {
    match (training.steps, &training.health) {
        (Some(steps), _) => format!("{} of {steps}", training.step),
        (None, Health::Finished) => "all".into(),
        (None, _) => "0".into(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.4}"))
}

fn left(training: &TrainingStatus) -> String {
    match &training.health {
        Health::Finished => "-".into(),
        _ => training.left().map_or("unknown".into(), |seconds| format!("about {}", say::duration(seconds))),
    }
}

fn saved(training: &TrainingStatus) -> String {
    let ago = training.saved.and_then(|saved| SystemTime::now().duration_since(saved).ok());
    ago.map_or("-".into(), |ago| format!("{} ago", say::duration(ago.as_secs_f64())))
}
