//! What was measured, as rows for JSON and CSV.
use super::{Definition, MeasuredNetwork, Measurement, Recommendation};
use crate::experiment::compare::save_chart as save;
use crate::experiment::files::{create, pretty, write};
use crate::experiment::plot::{SlowCurve, SlowPanel, SlowPoint, slow_flow_panels};
use crate::timestep::StrategyConfig;
use crate::{Error, Result};
use serde::Serialize;
use std::path::Path;

/// One time of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The network.
    pub model: String,
    /// The definition.
    pub definition: Definition,
    /// Steps of the sampler.
    pub steps: usize,
    /// Network evaluations per sample.
    pub evaluations: Option<usize>,
    /// The sampling timestep t; none for the mean over the times before the end.
    pub t: Option<f64>,
    /// The slowed timestep m.
    pub m: Option<f64>,
    /// t − m.
    pub slowness: f64,
    /// The lower end of its bootstrap interval.
    pub low: f64,
    /// The upper end of its bootstrap interval.
    pub high: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// What it is for an exact field, where that is not 0 and known.
    pub bias: Option<f64>,
}

/// All measurements of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// One row per model, definition, budget and time.
    pub rows: Vec<Row>,
    /// The recommended γ of each model and budget.
    pub recommendations: Vec<Recommendation>,
    /// [`gamma_by_t`](super::gamma_by_t) of the weights before, for each budget at which states are slow.
    pub measured: Vec<MeasuredStrategy>,
}

/// A strategy whose γ depends on t, and the steps of the sampler that it was measured with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredStrategy {
    /// The steps.
    pub steps: usize,
    /// The strategy, to be pasted into `post_train`.
    pub strategy: StrategyConfig,
}

impl Report {
    /// Adds a measurement of `model`.
    pub fn push(&mut self, model: &str, measured: &Measurement) {
        let mean = (None, None, &measured.mean, measured.bias);
        let points = measured.points.iter().map(|p| (Some(p.t), Some(p.m), &p.slowness, p.bias));
        self.rows.extend(points.chain([mean]).map(|(t, m, estimate, bias)| Row {
            model: model.into(),
            definition: measured.definition,
            steps: measured.steps,
            evaluations: measured.evaluations,
            t,
            m,
            slowness: estimate.value,
            low: estimate.low,
            high: estimate.high,
            standard_error: estimate.standard_error,
            bias,
        }));
    }

    /// Writes `slow_flow.json`, `slow_flow.csv`, `table.md` and pictures of the first definition into `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    pub fn write(&self, folder: &Path, measured: &[MeasuredNetwork]) -> Result<()> {
        create(folder)?;
        write(&folder.join("slow_flow.json"), &pretty(self)?)?;
        write(&folder.join("table.md"), &self.markdown())?;
        self.save_csv(&folder.join("slow_flow.csv"))?;
        let first = measured.iter().flat_map(|network| &network.measurements).map(|m| m.definition).next();
        let point = |p: &super::Point| SlowPoint {
            t: p.t,
            slowness: p.slowness.value,
            low: p.slowness.low,
            high: p.slowness.high,
        };
        let curve = |m: &Measurement| SlowCurve { steps: m.steps, points: m.points.iter().map(point).collect() };
        let mut panels = Vec::new();
        for network in measured {
            let drawn = network.measurements.iter().filter(|m| Some(m.definition) == first);
            let title = format!("{} post-training", network.name);
            panels.push(SlowPanel { title, curves: drawn.map(curve).collect() });
        }
        save(&slow_flow_panels("Slow Flow", &panels), &folder.join("slow_flow"))
    }

    fn save_csv(&self, file: &Path) -> Result<()> {
        let failed = |e: csv::Error| Error::io(file, std::io::Error::other(e.to_string()));
        let mut writer = csv::Writer::from_path(file).map_err(failed)?;
        for row in &self.rows {
            writer.serialize(row).map_err(failed)?;
        }
        writer.flush().map_err(|e| Error::io(file, e))
    }

    /// The means as Markdown, the bias of an exact field beside those that have one.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "Mean of t − m over the times before the end, positive where states are slow.\n\n\
             | model | definition | steps | t − m | interval | exact field |\n|---|---|---|---|---|---|\n",
        );
        for row in self.rows.iter().filter(|row| row.t.is_none()) {
            let exact = match row.bias {
                Some(bias) => format!("{bias:+.4}"),
                None if row.definition.is_zero_for_an_exact_field() => "0".into(),
                None => "not known".into(),
            };
            let Row { model, steps, slowness, low, high, .. } = row;
            let name = row.definition.name();
            text += &format!("| {model} | {name} | {steps} | {slowness:+.4} | [{low:+.4}, {high:+.4}] | {exact} |\n");
        }
        text
    }
}
