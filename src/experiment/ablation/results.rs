//! The cells of all seeds as rows of a table.
use super::{Ablation, Cell, Job};
use crate::Result;
use crate::experiment::Comparison;
use crate::experiment::config::AblationConfig;
use crate::experiment::statistics::{mean, standard_deviation, standard_error};
use serde::Serialize;

/// One arm under one sampler at one budget by one metric, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The metric's name.
    pub metric: &'static str,
    /// The sampler's name.
    pub sampler: String,
    /// The arm's name.
    pub arm: String,
    /// The γ of the arm's strategy, if it has one.
    pub gamma: Option<f64>,
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// Steps of the solver.
    pub steps: usize,
    /// The mean distance over the seeds.
    pub mean: f64,
    /// Its standard deviation over the seeds.
    pub standard_deviation: Option<f64>,
    /// The sampler of the control it is compared with: its own, or the first for the control and where there is none.
    pub against: String,
    /// Mean over the seeds of `distance / control − 1` at the same seed and budget.
    pub paired_change: Option<f64>,
    /// The standard error of that mean.
    pub paired_standard_error: Option<f64>,
    /// Whether the change is beyond two standard errors.
    pub beyond_two_errors: bool,
    /// The same change against the control under the first sampler.
    pub change_from_first_sampler: Option<f64>,
    /// The standard error of that.
    pub change_from_first_sampler_standard_error: Option<f64>,
    /// The distance of every finished seed.
    pub values: Vec<f64>,
    /// Those seeds.
    pub seeds: Vec<u64>,
}

/// How long one arm trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingTime {
    /// The arm's name.
    pub arm: String,
    /// Milliseconds per step, the mean over the seeds, validation and checkpoints included.
    pub milliseconds_per_step: f64,
}

/// A metric and how far real training samples are from held-out ones by it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Floor {
    /// The metric's name.
    pub metric: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The distance; no model can be expected to do better.
    pub distance: f64,
}

/// The table, as `results.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// One for each metric, sampler, arm and budget that is there.
    pub rows: Vec<Row>,
    /// One for each metric.
    pub floors: Vec<Floor>,
    /// Of the arms that trained.
    pub training: Vec<TrainingTime>,
    /// Seconds of sampling and measuring, all cells together.
    pub sampling_seconds: f64,
    /// The configuration.
    pub config: AblationConfig,
}

/// Mean and standard error of `a / b − 1` over the seeds that both have.
fn paired(mine: &[&Cell], control: &[&Cell], metric: &str) -> (Option<f64>, Option<f64>) {
    let change = |a: &&Cell| {
        let b = control.iter().find(|b| b.seed == a.seed)?;
        Some(a.distances.get(metric)? / b.distances.get(metric)? - 1.0)
    };
    let changes: Vec<f64> = mine.iter().filter_map(change).collect();
    ((!changes.is_empty()).then(|| mean(&changes)), standard_error(&changes))
}

impl Results {
    pub(super) fn new(ablation: &Ablation, comparison: &Comparison<'_>) -> Result<Self> {
        let (config, arms) = (ablation.config(), ablation.arms());
        let cells: Vec<Cell> = ablation.jobs().into_iter().flat_map(|job| ablation.cells(job)).collect();
        let find = |arm: &str, sampler: &str, evaluations: usize| -> Vec<&Cell> {
            let fits = |c: &&Cell| c.arm == arm && c.sampler == sampler && c.evaluations == evaluations;
            cells.iter().filter(fits).collect()
        };
        let first = &config.samplers[0].name;
        let mut rows = Vec::new();
        for metric in comparison.metrics().iter().map(|metric| metric.name) {
            for sampler in &config.samplers {
                for (arm, &evaluations) in arms.iter().flat_map(|arm| config.evaluations.iter().map(move |n| (arm, n)))
                {
                    let mine = find(&arm.name, &sampler.name, evaluations);
                    let Some(steps) = mine.first().map(|cell| cell.steps) else { continue };
                    let own = find(&config.control, &sampler.name, evaluations);
                    let reference = find(&config.control, first, evaluations);
                    let is_control = arm.name == config.control;
                    let alike = !is_control && !own.is_empty();
                    let itself = is_control && sampler.name == *first;
                    let none = (None, None);
                    let change =
                        if itself { none } else { paired(&mine, if alike { &own } else { &reference }, metric) };
                    let from_first = if itself { none } else { paired(&mine, &reference, metric) };
                    let values: Vec<f64> = mine.iter().filter_map(|c| c.distances.get(metric).copied()).collect();
                    rows.push(Row {
                        metric,
                        sampler: sampler.name.clone(),
                        arm: arm.name.clone(),
                        gamma: arm.stage.strategy.gamma(),
                        evaluations,
                        steps,
                        mean: mean(&values),
                        standard_deviation: standard_deviation(&values),
                        against: if alike { sampler.name.clone() } else { first.clone() },
                        paired_change: change.0,
                        paired_standard_error: change.1,
                        beyond_two_errors: change.0.zip(change.1).is_some_and(|(c, e)| c.abs() > 2.0 * e),
                        change_from_first_sampler: from_first.0,
                        change_from_first_sampler_standard_error: from_first.1,
                        values,
                        seeds: mine.iter().map(|c| c.seed).collect(),
                    });
                }
            }
        }
        let distances = comparison.floor(config.samples)?;
        let floors = comparison.metrics().iter().zip(distances);
        let time = |(index, arm): (usize, &crate::experiment::config::Arm)| {
            let of = |seed: &u64| ablation.milliseconds_per_step(Job { arm: index, seed: *seed });
            let times: Vec<f64> = config.seeds.iter().filter_map(of).collect();
            let milliseconds_per_step = mean(&times);
            (!times.is_empty()).then(|| TrainingTime { arm: arm.name.clone(), milliseconds_per_step })
        };
        Ok(Self {
            rows,
            floors: floors.map(|(m, distance)| Floor { metric: m.name, title: m.title, distance }).collect(),
            training: arms.iter().enumerate().filter_map(time).collect(),
            sampling_seconds: cells.iter().map(|c| c.seconds).sum(),
            config: config.clone(),
        })
    }

    /// The row of a cell, if it is there.
    pub fn row(&self, metric: &str, sampler: &str, arm: &str, evaluations: usize) -> Option<&Row> {
        let fits =
            |r: &&Row| r.metric == metric && r.sampler == sampler && r.arm == arm && r.evaluations == evaluations;
        self.rows.iter().find(fits)
    }
}
