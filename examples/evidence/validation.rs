//! Is the recommended γ a good one? The recommendation beside the sweep of the same network.
use burn_mixflow::run::statistics::number;
use burn_mixflow::{Error, Result};
use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;

/// A data set: its name, the folder of the sweep and that of the measurement.
const SETS: [(&str, &str, &str); 4] = [
    ("photos", "photos-gamma", "photos-slow_flow"),
    ("digits, scale 0.25", "digits-gamma-sweep", "digits-slow_flow"),
    ("digits, scale 1", "digits-gamma-sweep-full-scale", "digits-slow_flow-full-scale"),
    ("table", "table-gamma", "table-slow_flow"),
];

/// What the issue asks of the rule: at worst this much above the best of the sweep.
const ALLOWED: f64 = 0.10;

#[derive(Deserialize)]
struct Sweep {
    rows: Vec<Row>,
    floors: Vec<Floor>,
}

#[derive(Deserialize)]
struct Floor {
    metric: String,
    title: String,
}

#[derive(Deserialize)]
struct Row {
    metric: String,
    arm: String,
    gamma: Option<f64>,
    steps: usize,
    mean: f64,
    paired_change: Option<f64>,
    paired_standard_error: Option<f64>,
}

#[derive(Deserialize)]
struct Measured {
    recommendations: Vec<Recommended>,
}

#[derive(Deserialize)]
struct Recommended {
    steps: usize,
    gamma: Option<f64>,
}

/// The table of all data sets that were measured and swept.
pub fn markdown(runs: &Path) -> Result<String> {
    let mut text = format!(
        "The γ that `slow_flow` recommends from the pretrained network alone, beside the sweep of γ at the same number of Euler\n\
         steps. It is asked to be at worst {:.0} % above the best γ of the sweep, and not worse than the control beyond two\n\
         standard errors; bold where it is. \"None\" is a refusal, and stands for the control.\n\n\
         | data | distance | steps | recommended γ | its distance | best γ | its distance | above the best | against the control |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        100.0 * ALLOWED
    );
    let (mut cells, mut failed, mut worse) = (0, 0, 0);
    for (data, sweep, measured) in SETS {
        let (sweep, measured) = (runs.join(sweep).join("results.json"), runs.join(measured).join("slow_flow.json"));
        if !sweep.exists() || !measured.exists() {
            let _ = writeln!(text, "| {data} | not run | | | | | | | |");
            continue;
        }
        let (sweep, measured): (Sweep, Measured) = (read(&sweep)?, read(&measured)?);
        for Floor { metric, title } in &sweep.floors {
            for Recommended { steps, gamma } in &measured.recommendations {
                let rows = || sweep.rows.iter().filter(|row| row.metric == *metric && row.steps == *steps);
                let chosen = rows().find(|row| match gamma {
                    Some(gamma) => row.gamma == Some(*gamma),
                    None => row.arm == "control",
                });
                let swept = rows().filter(|row| row.gamma.is_some() || row.arm == "control");
                let (Some(chosen), Some(best)) = (chosen, swept.min_by(|a, b| a.mean.total_cmp(&b.mean))) else {
                    continue;
                };
                let above = chosen.mean / best.mean - 1.0;
                let lost = chosen.paired_change.zip(chosen.paired_standard_error).is_some_and(|(c, e)| c > 2.0 * e);
                let mark = |bad: bool, text: String| if bad { format!("**{text}**") } else { text };
                let name = |gamma: Option<f64>| gamma.map_or("none".into(), |gamma| gamma.to_string());
                let against = chosen.paired_change.map_or("–".into(), |change| format!("{:+.0} %", 100.0 * change));
                let _ = writeln!(
                    text,
                    "| {data} | {title} | {steps} | {} | {} | {} | {} | {} | {} |",
                    name(*gamma),
                    number(chosen.mean),
                    name(best.gamma),
                    number(best.mean),
                    mark(above > ALLOWED, format!("{:.0} %", 100.0 * above)),
                    mark(lost, against),
                );
                cells += 1;
                failed += usize::from(above > ALLOWED);
                worse += usize::from(lost);
            }
        }
    }
    let _ = writeln!(
        text,
        "\n{failed} of {cells} choices are more than {:.0} % above the best, {worse} are worse than the control beyond two \
         standard errors. The best γ differs between distances of the same samples; a rule that knows the network and the \
         data but not the distance cannot be the best by all of them.",
        100.0 * ALLOWED
    );
    Ok(text)
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::format(file, e.to_string()))
}
