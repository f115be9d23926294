//! The table, for people and as JSON.
use burn_mixflow::Result;
use burn_mixflow::experiment::Metric;
use burn_mixflow::experiment::config::RunConfig;
use burn_mixflow::experiment::files::pretty;
use burn_mixflow::experiment::statistics::{mean, number, standard_error};
use serde::Serialize;
use std::fmt::Write;

const ARMS: [(&str, &str); 3] = [("none", "no post-training"), ("control", "control"), ("mixflow", "MixFlow")];

/// The arm of real training images: no model can be expected to do better.
pub const FLOOR: &str = "training images";

/// The distances of one arm at one step count and seed, one per metric.
#[derive(Debug, Clone)]
pub struct Score {
    pub arm: String,
    pub seed: u64,
    pub steps: usize,
    pub distances: Vec<f64>,
}

/// One line of `results.json`.
#[derive(Debug, Serialize)]
pub struct Row {
    arm: String,
    steps: usize,
    evaluations: usize,
    metric: &'static str,
    mean: f64,
    standard_error: Option<f64>,
    /// Mean over the seeds of `distance / control − 1` at the same seed.
    paired_change: Option<f64>,
    paired_standard_error: Option<f64>,
    seeds: usize,
}

/// The rows, in the order of the table.
pub fn rows(config: &RunConfig, measured: &[Metric], scores: &[Score]) -> Vec<Row> {
    let find = |arm: &str, steps: usize| -> Vec<&Score> {
        scores.iter().filter(|s| s.arm == arm && s.steps == steps).collect()
    };
    let mut rows: Vec<Row> = Vec::new();
    let cells = || ARMS.iter().flat_map(|arm| config.evaluate.steps.iter().map(move |steps| (arm.0, *steps)));
    let metrics = measured.iter().enumerate();
    for (index, metric, (arm, steps)) in metrics.flat_map(|(i, m)| cells().map(move |cell| (i, m.name, cell))) {
        let (mine, control) = (find(arm, steps), find("control", steps));
        let values: Vec<f64> = mine.iter().map(|s| s.distances[index]).collect();
        let against = |a: &&Score| {
            control.iter().find(|b| b.seed == a.seed).map(|b| a.distances[index] / b.distances[index] - 1.0)
        };
        let changes: Vec<f64> = mine.iter().filter_map(against).collect();
        let paired = arm != "control";
        rows.push(Row {
            arm: arm.into(),
            steps,
            evaluations: config.evaluate.sampler(steps).evaluations().unwrap_or_default(),
            metric,
            mean: mean(&values),
            standard_error: standard_error(&values),
            paired_change: paired.then(|| mean(&changes)),
            paired_standard_error: if paired { standard_error(&changes) } else { None },
            seeds: values.len(),
        });
    }
    let floor = scores.iter().filter(|s| s.steps == 0).flat_map(|s| measured.iter().zip(&s.distances));
    rows.extend(floor.map(|(metric, &mean)| Row {
        arm: FLOOR.into(),
        steps: 0,
        evaluations: 0,
        metric: metric.name,
        mean,
        standard_error: None,
        paired_change: None,
        paired_standard_error: None,
        seeds: 1,
    }));
    rows
}

/// The table as Markdown. A change is in bold when it is beyond twice its standard error.
pub fn markdown(config: &RunConfig, metrics: &[Metric], rows: &[Row], per_step: [Option<f64>; 2]) -> String {
    let steps = &config.evaluate.steps;
    let mut text = format!(
        "Fréchet distance to held-out images, lower is better: mean ± standard error over {} seeds of post-training and\n\
         sampling; in brackets the mean paired change against the control ± its standard error, bold beyond two.\n",
        config.seeds.len()
    );
    for Metric { name: metric, title, .. } in metrics {
        let heads = steps.iter().map(|n| format!("{n} steps")).collect::<Vec<_>>();
        let _ = writeln!(text, "\n| {title} | {} |\n|---|{}", heads.join(" | "), "---|".repeat(steps.len()));
        for (arm, name) in ARMS {
            let cells = rows.iter().filter(|r| r.metric == *metric && r.arm == arm).map(cell).collect::<Vec<_>>();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        if let Some(floor) = rows.iter().find(|r| r.metric == *metric && r.arm == FLOOR) {
            let _ = writeln!(text, "\nTraining images against held-out images: {}.", number(floor.mean));
        }
    }
    if let [Some(control), Some(mixflow)] = per_step {
        let _ = writeln!(
            text,
            "\nTime per training step: control {control:.2} ms, MixFlow {mixflow:.2} ms ({:.3}×), validation and checkpoints included.",
            mixflow / control
        );
    }
    text
}

fn cell(row: &Row) -> String {
    let error = row.standard_error.map_or(String::new(), |e| format!(" ± {}", number(e)));
    let change = match (row.paired_change, row.paired_standard_error) {
        (Some(change), Some(error)) => {
            let text = format!("{:+.0} ± {:.0} %", 100.0 * change, 100.0 * error);
            if change.abs() > 2.0 * error { format!(" (**{text}**)") } else { format!(" ({text})") }
        }
        (Some(change), None) => format!(" ({:+.0} %)", 100.0 * change),
        _ => String::new(),
    };
    format!("{}{error}{change}", number(row.mean))
}

/// `results.json`.
pub fn json(config: &RunConfig, rows: &[Row], per_step: [Option<f64>; 2]) -> Result<String> {
    pretty(&serde_json::json!({
        "rows": rows,
        "milliseconds_per_step": { "control": per_step[0], "mixflow": per_step[1] },
        "seeds": config.seeds,
        "config": config,
    }))
}
