//! `mixflow choose-gamma`, and the choice where a file says `"gamma": "auto"`.
use crate::place::CACHE;
use crate::{say, signals, workers};
use burn_mixflow::experiment::GammaSearch;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::post_train::gamma::GammaChoice;
use burn_mixflow::{FolderLock, Result};
use std::path::Path;

/// Chooses, prints the reasons, and keeps them.
pub fn run(config: &ExperimentConfig, folder: &Path) -> Result<()> {
    let _lock = FolderLock::take(folder)?;
    choose(config, folder).map(drop)
}

/// The configuration with its γ, chosen by pilots if it leaves it open; the folder is locked then, as they write into it.
pub fn decided(config: ExperimentConfig, folder: &Path) -> Result<(ExperimentConfig, Option<FolderLock>)> {
    if !config.gamma_is_auto() {
        return Ok((config, None));
    }
    let lock = FolderLock::take(folder)?;
    let gamma = choose(&config, folder)?[0].decided()?;
    Ok((config.with_gamma(gamma), Some(lock)))
}

fn choose(config: &ExperimentConfig, folder: &Path) -> Result<Vec<GammaChoice>> {
    let folder = folder.join("pilots");
    say::line(format!("choosing γ; pilots: {}", folder.display()));
    let search =
        GammaSearch::open_with(config, &folder, Path::new(CACHE), say::progress())?.stopped_by(&signals::stop());
    let mut choices = search.run(&mut |pilots, jobs| workers::run(pilots, jobs))?;
    // What the probe adds is per budget; where every budget is chosen for apart, the probe would run for each distance.
    if let [choice] = &mut choices[..] {
        search.explain(choice);
    }
    let results = search.pilots().write_results()?;
    for choice in &choices {
        let steps = choice.target.steps.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let gamma = choice.gamma.map_or("none".into(), |gamma| gamma.to_string());
        say::result(&format!("\nγ = {gamma} for {steps} steps by {}", choice.target.distance));
        choice.reasons.iter().for_each(|reason| say::line(format!("  {reason}")));
    }
    search.write(&choices)?;
    search.pilots().draw(&results)?;
    say::line(format!("\nwritten: {}: gamma.json, results.json, table.md, pictures", folder.display()));
    Ok(choices)
}
