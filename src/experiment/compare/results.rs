//! The cells of all seeds as rows of a table.
use super::cell::Cell;
use super::{Comparison, Job};
use crate::experiment::config::{Arm, Reference};
use crate::experiment::distances::Distances;
use crate::experiment::statistics::{mean, standard_error};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// One arm under one sampler at one budget by one metric, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The metric's name.
    pub metric: String,
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
    /// The standard error of that mean, `√(Σ (v − mean)²/(n − 1)/n)`; none below two seeds.
    #[serde(default)]
    pub standard_error: Option<f64>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingTime {
    /// The arm's name.
    pub arm: String,
    /// Milliseconds per step, the mean over the seeds, validation and checkpoints included.
    pub milliseconds_per_step: f64,
}

/// A metric and how far real training samples are from the reference by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The metric's name.
    pub metric: String,
    /// Its title.
    pub title: String,
    /// The distance; no model can be expected to do better.
    pub distance: f64,
}

/// The table, as `results.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonResults {
    /// The name of the arm that the others are compared with.
    #[serde(default)]
    pub control: String,
    /// The data that samples are compared with.
    #[serde(default)]
    pub reference: Reference,
    /// One for each metric, sampler, arm and budget that is there.
    pub rows: Vec<ResultRow>,
    /// One for each metric.
    pub floors: Vec<Floor>,
    /// Of the arms that trained.
    pub training: Vec<TrainingTime>,
    /// Seconds of sampling and measuring, all cells together.
    pub sampling_seconds: f64,
    /// The configuration.
    pub config: Value,
}

/// The mean of paired changes and its standard error.
#[derive(Default)]
struct Paired {
    change: Option<f64>,
    standard_error: Option<f64>,
}

impl Paired {
    /// Of `a / b − 1` over the seeds that both have.
    fn new(mine: &[&Cell], control: &[&Cell], metric: &str) -> Self {
        let change = |a: &&Cell| {
            let b = control.iter().find(|b| b.seed == a.seed)?;
            Some(a.distances.get(metric)? / b.distances.get(metric)? - 1.0)
        };
        let changes: Vec<f64> = mine.iter().filter_map(change).collect();
        Self { change: (!changes.is_empty()).then(|| mean(&changes)), standard_error: standard_error(&changes) }
    }
}

impl ComparisonResults {
    pub(super) fn new(comparison: &Comparison, distances: &Distances<'_>) -> Result<Self> {
        let (compare, arms) = (&comparison.config().compare, comparison.arms());
        let cells: Vec<Cell> = comparison.jobs().into_iter().flat_map(|job| comparison.cells(job)).collect();
        let find = |arm: &str, sampler: &str, evaluations: usize| -> Vec<&Cell> {
            let fits = |c: &&Cell| c.arm == arm && c.sampler == sampler && c.evaluations == evaluations;
            cells.iter().filter(fits).collect()
        };
        let samplers = comparison.config().samplers();
        let first = samplers.first().map_or("", |sampler| sampler.name.as_str());
        let mut rows = Vec::new();
        for metric in distances.metrics().iter().map(|metric| metric.name) {
            for sampler in &samplers {
                let budgets = sampler.budgets(&compare.evaluations);
                let of = |arm: &Arm| budgets.iter().map(|n| (arm.clone(), *n)).collect::<Vec<_>>();
                for (arm, evaluations) in arms.iter().flat_map(of) {
                    let mine = find(&arm.name, &sampler.name, evaluations);
                    let Some(steps) = mine.first().map(|cell| cell.steps) else { continue };
                    let own = find(&compare.control, &sampler.name, evaluations);
                    let reference = find(&compare.control, first, evaluations);
                    let is_control = arm.name == compare.control;
                    let alike = !is_control && !own.is_empty();
                    let itself = is_control && sampler.name == first;
                    let against = |control: &[&Cell]| match itself {
                        true => Paired::default(),
                        false => Paired::new(&mine, control, metric),
                    };
                    let (change, from_first) = (against(if alike { &own } else { &reference }), against(&reference));
                    let beyond = change.change.zip(change.standard_error).is_some_and(|(c, e)| c.abs() > 2.0 * e);
                    if mine.iter().all(|cell| cell.distances.is_empty()) {
                        continue;
                    }
                    let values: Vec<f64> = mine.iter().filter_map(|c| c.distances.get(metric).copied()).collect();
                    rows.push(ResultRow {
                        metric: metric.into(),
                        sampler: sampler.name.clone(),
                        arm: arm.name.clone(),
                        gamma: arm.stage.strategy.gamma(),
                        evaluations,
                        steps,
                        mean: mean(&values),
                        standard_error: standard_error(&values),
                        against: if alike { sampler.name.clone() } else { first.into() },
                        paired_change: change.change,
                        paired_standard_error: change.standard_error,
                        beyond_two_errors: beyond,
                        change_from_first_sampler: from_first.change,
                        change_from_first_sampler_standard_error: from_first.standard_error,
                        values,
                        seeds: mine.iter().map(|c| c.seed).collect(),
                    });
                }
            }
        }
        let floor = distances.floor(distances.samples())?;
        let floors = distances.metrics().into_iter().zip(floor);
        let time = |(index, arm): (usize, &Arm)| {
            let of = |seed: &u64| comparison.milliseconds_per_step(Job { arm: index, seed: *seed });
            let times: Vec<f64> = compare.seeds.iter().filter_map(of).collect();
            let milliseconds_per_step = mean(&times);
            (!times.is_empty()).then(|| TrainingTime { arm: arm.name.clone(), milliseconds_per_step })
        };
        Ok(Self {
            control: compare.control.clone(),
            reference: compare.reference,
            rows,
            floors: floors
                .map(|(m, distance)| Floor { metric: m.name.into(), title: m.title.into(), distance })
                .collect(),
            training: arms.iter().enumerate().filter_map(time).collect(),
            sampling_seconds: cells.iter().map(|c| c.seconds).sum(),
            config: comparison.config().to_json()?,
        })
    }

    /// What a `results.json` holds.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming the file.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        let mut results: Self = serde_json::from_slice(&bytes).map_err(|e| Error::format(file, e.to_string()))?;
        if results.control.is_empty() {
            results.control = results.config["control"].as_str().unwrap_or_default().into();
        }
        for row in results.rows.iter_mut().filter(|row| row.standard_error.is_none()) {
            row.standard_error = standard_error(&row.values);
        }
        Ok(results)
    }

    /// The row of a cell, if it is there.
    pub fn row(&self, metric: &str, sampler: &str, arm: &str, evaluations: usize) -> Option<&ResultRow> {
        let fits =
            |r: &&ResultRow| r.metric == metric && r.sampler == sampler && r.arm == arm && r.evaluations == evaluations;
        self.rows.iter().find(fits)
    }

    /// The names of the samplers, the first first.
    pub fn samplers(&self) -> Vec<&str> {
        in_order(self.rows.iter().map(|row| row.sampler.as_str()))
    }

    /// The names of the arms, in the order of the table.
    pub fn arms(&self) -> Vec<&str> {
        in_order(self.rows.iter().map(|row| row.arm.as_str()))
    }

    /// The budgets, in the order of the table.
    pub fn evaluations(&self) -> Vec<usize> {
        in_order(self.rows.iter().map(|row| row.evaluations))
    }

    /// The seeds that every row has, at most.
    pub fn seeds(&self) -> usize {
        self.rows.iter().map(|row| row.seeds.len()).max().unwrap_or(0)
    }
}

/// Every item once, where it comes first.
fn in_order<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen: Vec<T> = Vec::new();
    items.for_each(|item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
    });
    seen
}
