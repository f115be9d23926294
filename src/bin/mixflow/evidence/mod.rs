//! `mixflow evidence`: runs everything that docs/evidence.md tells of, and writes the page; nothing in it is typed by hand.
//!
//! What is finished in `runs/` is not done again. It is taken over into `docs/evidence/`, a folder for each part, and the page
//! is written from those, so that a part can be run anew without all others.
mod accuracy;
mod asked;
mod collect;
mod kept;
mod parts;
mod screen;
mod validation;

use crate::{choose_gamma, compare, say, slow_flow};
use asked::Asked;
use burn_mixflow::experiment::ComparisonResults;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::{Error, Result};
use clap::Args;
use kept::KeptSet;
use parts::{PARTS, Part, Task};
use std::fmt::Write;
use std::path::Path;

const PAGE: &str = "docs/evidence.md";
const KEPT: &str = "docs/evidence";
/// What is asked of an advice and of a rule for γ: at most this much above the best of a grid or a sweep.
const ALLOWED: f64 = 0.10;

const PICTURE: &str = "what-helps.svg";

/// What is run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Run these parts alone, by the names of their folders in docs/evidence.
    parts: Vec<String>,
    /// Run nothing, and write the page from what is there.
    #[arg(long, conflicts_with = "parts")]
    page: bool,
}

/// Runs what is asked for, and writes the page after each part.
pub fn run(arguments: &Arguments) -> Result<()> {
    let parts = if arguments.page { Vec::new() } else { named(&arguments.parts)? };
    if let Some(part) = PARTS.iter().find(|part| !Path::new(part.config).exists()) {
        let file = part.config;
        return Err(Error::Invalid(format!("{file} is not there: run this in a checkout of burn-mixflow")));
    }
    let mut failed = Vec::new();
    let mut keep = |part: &Part, done: Result<()>| match done {
        Err(stopped @ Error::Stopped { .. }) => Err(stopped),
        // Hours of the others are not lost to it.
        Err(error) => {
            say::error(&ExperimentConfig::of_file(error, Path::new(part.config), &[]));
            failed.push(part.folder());
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    let mut written = Ok(());
    for (i, part) in parts.iter().enumerate() {
        say::line(format!("\n{} of {}: {} ({})", i + 1, parts.len(), part.title, part.folder()));
        let done = run_part(part);
        // What a part has left before it failed is kept, too.
        keep(part, take_over(part).and(done))?;
        // A page that could not be written ends the command only if the last one could not.
        if let Err(error) = std::mem::replace(&mut written, page()) {
            say::error(&error);
        }
    }
    if arguments.page {
        PARTS.iter().try_for_each(|part| keep(part, take_over(part)))?;
        written = page();
    }
    written?;
    say::line(format!("written: {PAGE}"));
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(format!("not done, for the reasons above: {}", failed.join(", ")))),
    }
}

/// The parts with these names; all that a CPU can do without names.
fn named(names: &[String]) -> Result<Vec<Part>> {
    let find = |name: &String| {
        PARTS.into_iter().find(|part| part.folder() == *name).ok_or_else(|| {
            let known: Vec<String> = PARTS.iter().map(Part::folder).collect();
            Error::Invalid(format!("{name}: must be one of {}", known.join(", ")))
        })
    };
    match names.is_empty() {
        true => Ok(PARTS.into_iter().filter(|part| part.task != Task::Large).collect()),
        false => names.iter().map(find).collect(),
    }
}

fn run_part(part: &Part) -> Result<()> {
    let (config, folder) = (ExperimentConfig::read(part.config)?, part.results());
    match part.task {
        Task::Table | Task::Large => compare::fill(config, &folder).map(drop),
        Task::SlowFlow if is_measured(&config, &folder)? => Ok(()),
        Task::SlowFlow => {
            // What is there is of another configuration, and would pass for this one's if this were stopped.
            let file = folder.join(SLOW_FLOW);
            if file.exists() {
                std::fs::remove_file(&file).map_err(|e| Error::io(&file, e))?;
            }
            slow_flow::measure(config, &folder).map(drop)
        }
        Task::Set(set) => {
            // The sweep does not need the advice, and is not lost to its refusal.
            let (advices, asked) = match set.minutes {
                Some(minutes) => asked::advices(&config, &folder, minutes),
                None => (Vec::new(), Ok(())),
            };
            if let Err(stopped @ Error::Stopped { .. }) = asked {
                return Err(stopped);
            }
            if config.gamma_search.each {
                choose_gamma::run(&config, &folder)?;
            }
            let first = advices.first();
            compare::fill(first.map_or_else(|| config.clone(), |advice| asked::sweep(&config, advice)), &folder)?;
            if let Some(minutes) = set.minutes.filter(|_| !advices.is_empty()) {
                let cases = asked::cases(&config, &advices, (minutes, set.search), &folder.join("grid"))?;
                write(&folder.join(asked::FILE), &json(&Asked { advices, cases })?)?;
            }
            asked
        }
    }
}

/// Below the folder of an experiment.
const SLOW_FLOW: &str = "slow_flow/slow_flow.json";

/// Whether Slow Flow was measured with this very configuration, as nothing of it is kept on the way.
fn is_measured(config: &ExperimentConfig, folder: &Path) -> Result<bool> {
    let file = folder.join("config.json");
    let measured = folder.join(SLOW_FLOW).exists() && file.exists();
    Ok(measured && read::<serde_json::Value>(&file)? == config.to_json()?)
}

/// Takes over what is in `runs/` of a part.
fn take_over(part: &Part) -> Result<()> {
    collect::take_over(&part.results(), &Path::new(KEPT).join(part.folder()))
}

/// Writes the page from what is kept.
fn page() -> Result<()> {
    let kept = Path::new(KEPT);
    let results: Vec<Option<ComparisonResults>> =
        PARTS.iter().map(|part| results(kept, part)).collect::<Result<_>>()?;
    let of_part = || PARTS.iter().zip(&results);
    let sets = of_part().filter_map(|(part, results)| KeptSet::read(kept, part, results.as_ref()?).transpose());
    let sets: Vec<KeptSet> = sets.collect::<Result<_>>()?;
    if let Some(svg) = screen::picture(&sets, &asked::BUDGETS)? {
        write(&kept.join(PICTURE), &svg)?;
    }
    let mut text = String::from("# Evidence\n");
    text.push_str(&screen::markdown(&sets, &asked::BUDGETS, &format!("evidence/{PICTURE}")));
    let hours = results.iter().flatten().map(seconds).sum::<f64>() / 3600.0;
    let _ = writeln!(
        text,
        "\n`mixflow evidence` runs all of this and writes this page; nothing is typed by hand, and losing results stand beside \
         winning ones. What is finished in `runs/` is not done again. Foreign data are fetched first: `python3 \
         configs/foreign/make.py runs/foreign`. The trainings and samples of the parts below took {hours:.1} hours of jobs, one for \
         each core at a time; advice, its grid and pilots are not in that. Distances compare within a table only. The results behind each table \
         are in [docs/evidence](evidence), a folder for each.\n\n## Is the advised sampling a good one?"
    );
    text.push_str(&accuracy::markdown(&sets));
    text.push_str("\n## Is the chosen γ a good one?\n");
    text.push_str(&validation::markdown(kept, &sets)?);
    let mut missing = Vec::new();
    let all: Vec<ComparisonResults> = results.iter().flatten().cloned().collect();
    for (part, results) in of_part() {
        let (title, folder) = (part.title, part.folder());
        let Some(table) = table(&kept.join(&folder), results.as_ref(), &all) else {
            missing.push(part);
            continue;
        };
        let file = part.config;
        let _ = writeln!(text, "\n## {title}\n`mixflow evidence {folder}`, of [{file}](../{file})\n");
        text.push_str(&table.replace("\n## ", "\n### "));
        for picture in collect::pictures(&kept.join(&folder))? {
            let _ = writeln!(text, "\n![{title}](evidence/{folder}/{picture})");
        }
    }
    if !missing.is_empty() {
        text.push_str("\n## Not run yet\n| what | command |\n|---|---|\n");
    }
    for part in missing {
        let _ = writeln!(text, "| {} | `mixflow evidence {}` |", part.title, part.folder());
    }
    write(Path::new(PAGE), &text)
}

/// What the jobs of a table took, one after the other.
fn seconds(results: &ComparisonResults) -> f64 {
    let steps = results.config["post_train"]["steps"].as_f64().unwrap_or(0.0);
    let trained = results.training.iter().map(|training| training.milliseconds_per_step / 1e3 * steps);
    results.sampling_seconds + results.seeds() as f64 * trained.sum::<f64>()
}

/// The results that are kept of a part; none if it was not run, or has no table of arms.
fn results(kept: &Path, part: &Part) -> Result<Option<ComparisonResults>> {
    let file = kept.join(part.folder()).join("results.json");
    file.exists().then(|| ComparisonResults::read(&file)).transpose()
}

/// The table of a part: written anew from results, so that all tables are in one form, or that of Slow Flow. `others` are those of
/// all parts, for the best sampler of the same weights.
fn table(kept: &Path, results: Option<&ComparisonResults>, others: &[ComparisonResults]) -> Option<String> {
    let anew = results.map(|results| results.markdown_beside(others));
    anew.or_else(|| std::fs::read_to_string(kept.join("table.md")).ok())
}

/// A JSON file as `T`.
fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::format(file, e.to_string()))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::Invalid(e.to_string()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|e| Error::io(file, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_not_run_has_no_results() {
        let folder = tempfile::tempdir().unwrap();
        assert!(PARTS.iter().all(|part| results(folder.path(), part).unwrap().is_none()));
    }

    #[test]
    fn parts_are_named_by_their_folders_and_the_large_one_is_run_only_so() {
        let all = named(&[]).unwrap();
        assert!(all.len() == PARTS.len() - 1 && all.iter().all(|part| part.task != Task::Large));
        assert_eq!(named(&["photos-sit".into()]).unwrap()[0].config, "configs/photos/sit.json");
        let error = named(&["photos".into()]).unwrap_err().to_string();
        assert!(error.starts_with("photos: must be one of photos-gamma, "), "{error}");
    }
}
