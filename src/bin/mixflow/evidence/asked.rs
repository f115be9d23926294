//! What `mixflow advise` is asked about a data set, and the grid that its answers are held against.
use crate::{advise, compare};
use burn_mixflow::experiment::advise::{Advice, Question};
use burn_mixflow::experiment::config::{ArmSampler, ExperimentConfig, Reference};
use burn_mixflow::experiment::{ComparisonResults, ResultRow};
use burn_mixflow::sample::{SolverConfig, TimesConfig};
use burn_mixflow::timestep::TimeShift;
use burn_mixflow::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The budgets that are asked about.
pub const BUDGETS: [usize; 3] = [5, 10, 20];

/// The distances that are asked about, where the data have them: two of pictures, two of vectors.
const DISTANCES: [&str; 4] = ["frechet_random_convolutions", "frechet_texture", "energy_distance", "frechet_vectors"];

/// Seeds of the grid on held-out data, which judge, and on training data, which choose from it; no advice uses them.
const JUDGES: [u64; 4] = [31, 32, 33, 34];
const CHOOSERS: [u64; 4] = [41, 42, 43, 44];

const SOLVERS: [(SolverConfig, &str); 4] = [
    (SolverConfig::Euler, "Euler"),
    (SolverConfig::Midpoint, "midpoint"),
    (SolverConfig::Heun, "Heun"),
    (SolverConfig::DpmPp2m, "DPM-Solver++(2M)"),
];

/// The file of all that was asked.
pub const FILE: &str = "asked.json";

/// What was advised, and how it stands beside the grid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// For each distance, the first the one that training is judged by.
    pub advices: Vec<Advice>,
    pub cases: Vec<Case>,
}

/// One question beside the grid: the distances to held-out data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub metric: String,
    /// What `advise` had for all budgets of this distance.
    pub minutes: u32,
    pub evaluations: usize,
    /// The user's own way to sample.
    pub own: ResultRow,
    /// What was advised; the user's own where nothing was.
    pub advised: ResultRow,
    /// The nearest of the grid, the own and the advised ones, picked by the very distances that judge.
    pub best: ResultRow,
    /// What the whole grid chooses from what `advise` sees, the training data, as it is on held-out data; none where it was not
    /// searched.
    #[serde(default)]
    pub searched: Option<ResultRow>,
}

/// What is advised, for each distance up to the first that fails, and why it does; `minutes` are those of all budgets of the
/// first and of a second distance.
pub fn advices(config: &ExperimentConfig, folder: &Path, minutes: [u32; 2]) -> (Vec<Advice>, Result<()>) {
    let known: Vec<&str> = config.metrics().iter().map(|metric| metric.name).collect();
    let asked = DISTANCES.into_iter().filter(|name| known.contains(name));
    let mut advices = Vec::new();
    for (metric, minutes) in asked.zip(minutes) {
        let (evaluations, metric) = (Some(BUDGETS.to_vec()), Some(metric.into()));
        let question = Question { evaluations, metric, minutes: minutes.into() };
        match advise::answer(config.clone(), folder, &question) {
            Ok((advice, _)) => advices.push(advice),
            Err(error) => return (advices, Err(error)),
        }
    }
    (advices, Ok(()))
}

/// What an advice says for a budget, as a sampler of a table; none where the user's own is kept.
pub fn sampler(advice: &Advice, evaluations: usize) -> Option<ArmSampler> {
    let answer = advice.budgets.iter().find(|answer| answer.evaluations == evaluations)?;
    let sampler = answer.advised()?.sampler.clone();
    let name = format!("{PREFIX}{evaluations} by {}: {}", advice.metric, sampler.name);
    Some(ArmSampler { name, evaluations: Some(vec![evaluations]), ..sampler })
}

/// What the names of advised samplers begin with.
const PREFIX: &str = "advised for ";

/// What an advice says for all budgets.
pub fn samplers(advice: &Advice) -> Vec<ArmSampler> {
    BUDGETS.into_iter().filter_map(|n| sampler(advice, n)).collect()
}

/// The table of the configuration with what an advice says beside its own samplers.
pub fn sweep(config: &ExperimentConfig, advice: &Advice) -> ExperimentConfig {
    let mut sweep = config.clone();
    sweep.compare.samplers = config.samplers().into_iter().chain(samplers(advice)).collect();
    sweep
}

/// What was advised, in so many minutes, beside the grid, which may be searched by training data, too; its tables go into folders
/// below `folder`.
pub fn cases(
    config: &ExperimentConfig,
    advices: &[Advice],
    (minutes, search): ([u32; 2], bool),
    folder: &Path,
) -> Result<Vec<Case>> {
    let advised: Vec<ArmSampler> = advices.iter().flat_map(samplers).collect();
    let held_out = grid(config, advices, (&advised, Reference::HeldOut))?;
    let own = held_out.compare.samplers[0].name.clone();
    let held_out = compare::fill_rows(held_out, &folder.join("held-out"))?;
    let training = search
        .then(|| compare::fill_rows(grid(config, advices, (&[], Reference::Training))?, &folder.join("training")));
    let training = training.transpose()?;
    let asked = advices.iter().zip(minutes).flat_map(|asked| BUDGETS.map(|n| (asked, n)));
    Ok(asked
        .filter_map(|((advice, minutes), n)| case((&held_out, training.as_ref()), &own, (advice, minutes), n))
        .collect())
}

/// The user's own way to sample, what was `advised`, and four solvers, each on the named grids and on the two that are fitted to
/// the model, with the weights of `start`.
///
/// It does not follow the candidates of `advise`: what judges must not change with what is judged.
fn grid(
    config: &ExperimentConfig,
    advices: &[Advice],
    (advised, reference): (&[ArmSampler], Reference),
) -> Result<ExperimentConfig> {
    let mut own = config.samplers();
    own.truncate(1);
    let mut samplers: Vec<ArmSampler> = own.iter().chain(advised).cloned().collect();
    for (solver, solver_name) in SOLVERS {
        for (grid_name, times) in times(advices) {
            let name = format!("{solver_name}, {grid_name}");
            let is_own = own.iter().any(|own| (own.solver, &own.times) == (solver, &times));
            let like = own.iter().filter(|_| !is_own).map(|own| ArmSampler {
                name: name.clone(),
                solver,
                times: times.clone(),
                evaluations: None,
                ..own.clone()
            });
            samplers.extend(like);
        }
    }
    let (name, weights) = if config.start.is_exact() { ("exact", None) } else { ("no post-training", Some("start")) };
    let arms = serde_json::json!([{"name": name, "weights": weights}]);
    let mut grid = config.clone();
    grid.compare.arms = serde_json::from_value(arms).map_err(|e| Error::Invalid(e.to_string()))?;
    (grid.compare.control, grid.compare.samplers) = (name.into(), samplers);
    let seeds = if reference == Reference::HeldOut { JUDGES } else { CHOOSERS };
    (grid.compare.evaluations, grid.compare.seeds) = (BUDGETS.to_vec(), seeds.to_vec());
    grid.compare.reference = reference;
    Ok(grid)
}

fn times(advices: &[Advice]) -> Vec<(String, TimesConfig)> {
    let shifted = |factor: f64| {
        let times = TimesConfig::Shifted { shift: TimeShift::Factor { factor }, last: 1.0 };
        (format!("grid shifted by {factor}"), times)
    };
    let power = |exponent: f64| (format!("grid u^{exponent}"), TimesConfig::Power { exponent });
    let karras = TimesConfig::Karras { rho: 7.0, sigma_min: 0.002, sigma_max: 80.0 };
    let uniform = ("uniform grid".to_string(), TimesConfig::default());
    let mut all = vec![uniform, shifted(0.5), shifted(2.0), shifted(4.0), shifted(8.0), power(2.0), power(3.0)];
    all.push(("grid of Karras".into(), karras));
    let fitted = advices.iter().find_map(|advice| advice.fitted.clone());
    let orders = ["grid fitted for order 1", "grid fitted for order 2"];
    let fitted = orders.into_iter().zip(fitted.into_iter().flatten());
    all.extend(fitted.map(|(name, points)| (name.into(), TimesConfig::Points { points })));
    all
}

/// The case of a distance and a budget, by the grid on held-out data and, if it is there, on training data; none where the first has no row of
/// it. What was advised for another question is not in its grid.
fn case(
    (held_out, training): (&ComparisonResults, Option<&ComparisonResults>),
    own: &str,
    (advice, minutes): (&Advice, u32),
    evaluations: usize,
) -> Option<Case> {
    let mine = sampler(advice, evaluations).map_or_else(|| own.to_string(), |sampler| sampler.name);
    let rows = |results: &'_ ComparisonResults| -> Vec<ResultRow> {
        let fits = |row: &&ResultRow| {
            let for_another = row.sampler.starts_with(PREFIX) && row.sampler != mine;
            (row.metric.as_str(), row.evaluations) == (advice.metric.as_str(), evaluations) && !for_another
        };
        results.rows.iter().filter(fits).cloned().collect()
    };
    let (rows, choosing) = (rows(held_out), training.map(rows).unwrap_or_default());
    let of = |sampler: &str| rows.iter().find(|row| row.sampler == sampler).cloned();
    let nearest = |rows: &[ResultRow]| rows.iter().min_by(|a, b| a.mean.total_cmp(&b.mean)).cloned();
    Some(Case {
        metric: advice.metric.clone(),
        minutes,
        evaluations,
        own: of(own)?,
        advised: of(&mine)?,
        best: nearest(&rows)?,
        searched: nearest(&choosing).and_then(|chosen| of(&chosen.sampler)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(kind: &str, start: &str) -> ExperimentConfig {
        let config = json!({
            "data": {"kind": kind},
            "network": {"kind": "residual_mlp", "channels": 2, "size": 1, "width": 8, "depth": 1},
            "start": {"kind": start}
        });
        ExperimentConfig::parse(&config.to_string()).unwrap()
    }

    fn advice() -> Advice {
        let choice = |name: &str, mean: f64| {
            json!({"sampler": {"name": name, "solver": "heun"}, "steps": 5, "others": [],
                "chosen": {"mean": -0.5, "standard_error": 0.1, "seeds": 8},
                "confirmed": {"mean": mean, "standard_error": 0.01, "seeds": 6}})
        };
        let answer = |evaluations: usize, best: serde_json::Value| {
            json!({"evaluations": evaluations, "own": "your own (Euler)", "tried": 9, "best": best, "finalists": [],
                "pilots": [], "trained": null, "distances": []})
        };
        let budgets = json!([answer(10, choice("Heun, uniform grid", -0.4)), answer(20, choice("Heun, u^2", 0.1))]);
        let points = json!([[0.0, 0.3, 1.0], [0.0, 0.2, 1.0]]);
        let advice =
            json!({"metric": "energy_distance", "floor": 0.1, "budgets": budgets, "deficit": null, "fitted": points});
        serde_json::from_value(advice).unwrap()
    }

    #[test]
    fn the_grid_is_every_solver_on_every_grid_beside_what_was_advised() {
        for start in ["pretrain", "exact"] {
            let grid = |advised: &[ArmSampler], reference| {
                grid(&config("ring", start), &[advice()], (advised, reference)).unwrap()
            };
            let (judge, choose) = (grid(&samplers(&advice()), Reference::HeldOut), grid(&[], Reference::Training));
            let references = [judge.compare.reference, choose.compare.reference];
            assert_eq!(references, [Reference::HeldOut, Reference::Training]);
            assert!(judge.compare.seeds.iter().all(|seed| !choose.compare.seeds.contains(seed)));
            assert_eq!(choose.problems().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
            assert_eq!(choose.compare.samplers.len() + 1, judge.compare.samplers.len());
            let grid = judge;
            assert_eq!(grid.problems().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
            let names: Vec<&str> = grid.compare.samplers.iter().map(|sampler| sampler.name.as_str()).collect();
            // What held-out data did not confirm is not advised, and Euler's method on the uniform grid stands once.
            assert_eq!(names.len(), 1 + 1 + 4 * 10 - 1);
            assert_eq!(names[..2], ["Euler", "advised for 10 by energy_distance: Heun, uniform grid"]);
            assert!(names.contains(&"DPM-Solver++(2M), grid fitted for order 2"), "{names:?}");
        }
    }

    #[test]
    fn a_case_is_judged_by_its_own_advice_alone() {
        let row = |metric: &str, sampler: &str, mean: f64| {
            json!({"metric": metric, "sampler": sampler, "arm": "exact", "gamma": null, "evaluations": 10, "steps": 5,
                "mean": mean, "standard_error": 0.1, "against": "Euler", "paired_change": null,
                "paired_standard_error": null, "beyond_two_errors": false, "change_from_first_sampler": null,
                "change_from_first_sampler_standard_error": null, "values": [mean], "seeds": [31]})
        };
        let rows = [
            row("energy_distance", "Euler", 5.0),
            row("energy_distance", "advised for 10 by energy_distance: Heun, uniform grid", 3.0),
            row("energy_distance", "advised for 10 by frechet_vectors: Heun, u^3", 1.0),
            row("energy_distance", "Heun, grid u^2", 2.0),
            row("frechet_vectors", "Heun, grid u^2", 0.5),
        ];
        let results = json!({"rows": rows, "floors": [], "training": [], "sampling_seconds": 0.0, "config": {}});
        let results: ComparisonResults = serde_json::from_value(results).unwrap();
        // By training data the user's own is the nearest.
        let mut training = results.clone();
        training.rows[0].mean = 0.1;
        let case =
            |results: &ComparisonResults, advice: &Advice, n| case((results, Some(&training)), "Euler", (advice, 5), n);
        let found = case(&results, &advice(), 10).unwrap();
        assert_eq!([found.own.mean, found.advised.mean, found.best.mean], [5.0, 3.0, 2.0]);
        assert_eq!((found.best.sampler.as_str(), found.searched.unwrap().mean), ("Heun, grid u^2", 5.0));
        assert_eq!(super::case((&results, None), "Euler", (&advice(), 5), 10).unwrap().searched, None);
        // Where nothing is advised, the user's own is judged.
        let mut kept = advice();
        kept.budgets[0].best = None;
        assert_eq!(case(&results, &kept, 10).unwrap().advised.sampler, "Euler");
        assert_eq!(case(&results, &advice(), 20), None);
        // What was advised and not sampled is no advice to keep the own.
        let without = ComparisonResults { rows: vec![results.rows[0].clone(), results.rows[3].clone()], ..results };
        assert_eq!(case(&without, &advice(), 10), None);
    }
}
