//! Burn's metrics as rows over the global step.
use std::collections::HashMap;

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};

use super::TensorBoard;

const STEP: &str = "Step";
const RATE: &str = "Learning Rate";

/// Somewhere that the numbers of a step are kept.
pub(crate) trait StepSink: Send {
    /// The numbers of one step, or of a validation, by their names.
    fn row(&mut self, split: &str, step: i64, values: &[(String, f64)]);
    /// Makes all rows visible to others.
    fn flush(&mut self);
}

/// Hands every numeric metric to its sinks, of training every few steps, of validation when it ends.
///
/// The step is the numeric metric named `Step` of the same update, for validation that of the last training update; without
/// such a metric training updates are counted. A validation of no item is none. Names are lower-cased, spaces become `_`.
pub(crate) struct StepLogger {
    sinks: Vec<Box<dyn StepSink>>,
    every: i64,
    /// Updates of one step: devices × accumulated passes. A step of fewer ends when the next begins.
    parts: usize,
    /// Those of the step in work that are there.
    arrived: Vec<Vec<Reading>>,
    /// Whether something has gone wrong, so that a validation is not whole.
    hurt: Box<dyn Fn() -> bool + Send>,
    names: HashMap<MetricId, String>,
    step: i64,
    /// Items of the validation in work.
    validated: usize,
    /// What the newest epoch of each split ended with, for Burn to read.
    finals: HashMap<(String, usize, Split), f64>,
}

impl StepLogger {
    /// Rows of training at the steps divisible by `every` (0 counts as 1), from `first_step` on.
    pub fn new(sinks: Vec<Box<dyn StepSink>>, first_step: i64, every: usize, parts: usize) -> Self {
        let every = i64::try_from(every).unwrap_or(i64::MAX).max(1);
        Self {
            sinks,
            every,
            parts,
            arrived: Vec::new(),
            hurt: Box::new(|| false),
            names: HashMap::new(),
            step: first_step - 1,
            validated: 0,
            finals: HashMap::new(),
        }
    }

    /// Writes no validation once `hurt` says that something has gone wrong.
    pub fn unless(self, hurt: impl Fn() -> bool + Send + 'static) -> Self {
        Self { hurt: Box::new(hurt), ..self }
    }

    fn train(&mut self, values: Vec<Reading>) {
        let step = values.iter().find(|reading| reading.name == STEP).map_or(self.step + 1, |step| step.value as i64);
        if step != self.step {
            self.write_step();
        }
        self.step = step;
        self.arrived.push(values);
        if self.arrived.len() >= self.parts {
            self.write_step();
        }
    }

    /// The row of the step whose parts have arrived: their means, whichever of them was first.
    fn write_step(&mut self) {
        let arrived = std::mem::take(&mut self.arrived);
        if let Some(first) = arrived.first().filter(|_| self.step % self.every == 0) {
            let mean_at = |(place, reading): (usize, &Reading)| {
                let mut parts = arrived.iter().filter_map(|part| part.get(place));
                if reading.name == RATE {
                    // Burn sets the rate of a step in its last pass; those before have that of the step before.
                    let last = parts.next_back().map_or(reading.value, |part| part.value);
                    return (reading.name.clone(), last);
                }
                (reading.name.clone(), mean(parts.map(|part| (part.value, part.weight)).collect()))
            };
            let row: Vec<_> = first.iter().enumerate().map(mean_at).collect();
            self.write("train", &row);
        }
    }

    fn write(&mut self, split: &str, values: &[(String, f64)]) {
        let named = values.iter().filter(|(name, _)| name != STEP);
        let row: Vec<_> = named.map(|(name, value)| (name.to_lowercase().replace(' ', "_"), *value)).collect();
        self.sinks.iter_mut().for_each(|sink| sink.row(split, self.step, &row));
    }

    fn ended(&mut self, values: &[(String, f64)], epoch: usize, split: &Split) {
        self.finals.retain(|(_, of, _), _| *of == epoch);
        for (name, value) in values {
            self.finals.insert((name.clone(), epoch, split.clone()), *value);
        }
        match split {
            Split::Train => self.write_step(),
            Split::Valid if std::mem::take(&mut self.validated) == 0 || (self.hurt)() => {}
            Split::Valid => self.write("valid", values),
            Split::Test(None) => self.write("test", values),
            Split::Test(Some(name)) => self.write(&format!("test/{name}"), values),
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.flush());
    }
}

/// A number of one update.
struct Reading {
    name: String,
    value: f64,
    /// How many samples it is the mean of.
    weight: f64,
}

impl Reading {
    fn of(name: &str, entry: &NumericEntry) -> Self {
        let weight = if let NumericEntry::Aggregated { count, .. } = entry { *count as f64 } else { 1.0 };
        Self { name: name.to_string(), value: entry.current(), weight }
    }
}

/// The weighted mean of values and weights, not depending on their order to the last bit. A value that is no number, as of
/// a bin without samples, counts only where there is no other.
fn mean(mut parts: Vec<(f64, f64)>) -> f64 {
    let any = parts.first().map_or(f64::NAN, |part| part.0);
    if parts.iter().all(|part| part.0.to_bits() == any.to_bits()) {
        return any;
    }
    parts.retain(|part| !part.0.is_nan());
    parts.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let add = |(sum, all): (f64, f64), (value, weight): &(f64, f64)| (sum + value * weight, all + weight);
    let (sum, weight) = parts.iter().fold((0.0, 0.0), add);
    sum / weight
}

impl MetricLogger for StepLogger {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let mut end_of_split = false;
        let mut values = Vec::with_capacity(update.entries_numeric.len());
        for metric in &update.entries_numeric {
            if let (Some(name), Some(entry)) = (self.names.get(&metric.entry.metric_id), &metric.numeric_entry) {
                end_of_split |= matches!(entry, NumericEntry::Final(_));
                values.push(Reading::of(name, entry));
            }
        }
        match (split, end_of_split) {
            (_, true) => {
                let finals: Vec<_> = values.into_iter().map(|reading| (reading.name, reading.value)).collect();
                self.ended(&finals, epoch, split);
            }
            (Split::Train, false) => self.train(values),
            (Split::Valid, false) => self.validated += 1,
            (Split::Test(_), false) => {}
        }
    }

    fn read_numeric(&mut self, name: &str, epoch: usize, split: &Split) -> Result<Vec<NumericEntry>, String> {
        let found = self.finals.get(&(name.to_string(), epoch, split.clone()));
        Ok(found.map(|value| NumericEntry::Final(*value)).into_iter().collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {
        self.write_step();
        self.flush();
    }
}

/// Writes every numeric metric as `train/<name>` every few steps and as `valid/<name>` when validation ends.
///
/// The x axis is the numeric metric named `Step` of the same update, for validation that of the last
/// training update; without such a metric training updates are counted. Names are lower-cased, spaces
/// become `_`. Several updates of one step, as when gradients accumulate, are one point, their mean. Register it beside
/// Burn's `FileMetricLogger`, from which Burn reads values back, or another logger that keeps them.
pub struct TensorBoardLogger {
    inner: StepLogger,
}

impl TensorBoardLogger {
    /// Logs to `board`, training metrics at the steps divisible by `every` (0 counts as 1).
    pub fn new(board: TensorBoard, every: usize) -> Self {
        let first_step = board.first_step();
        Self { inner: StepLogger::new(vec![Box::new(board)], first_step, every, usize::MAX) }
    }
}

impl StepSink for TensorBoard {
    fn row(&mut self, split: &str, step: i64, values: &[(String, f64)]) {
        values.iter().for_each(|(name, value)| self.scalar(&format!("{split}/{name}"), *value, step));
    }

    fn flush(&mut self) {
        TensorBoard::flush(self);
    }
}

impl MetricLogger for TensorBoardLogger {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        self.inner.log(update, epoch, split);
    }

    fn read_numeric(&mut self, _name: &str, _epoch: usize, _split: &Split) -> Result<Vec<NumericEntry>, String> {
        // An empty list would hide the values another logger has.
        Err("the TensorBoard logger keeps no values".to_string())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.inner.log_metric_definition(definition);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        self.inner.log_epoch_summary(summary);
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::tests::read_events;
    use super::*;
    use burn::train::metric::store::NumericMetricUpdate;
    use burn::train::metric::{MetricAttributes, MetricEntry, SerializedEntry};
    use std::sync::Arc;

    fn id(name: &str) -> MetricId {
        MetricId::new(Arc::new(name.to_string()))
    }

    fn update(values: &[(&str, NumericEntry)]) -> MetricsUpdate {
        let numeric = values.iter().map(|(name, entry)| {
            let text = MetricEntry::new(id(name), SerializedEntry::new(String::new(), String::new()));
            NumericMetricUpdate::new(text, Some(entry.clone()), None)
        });
        MetricsUpdate::new(Vec::new(), numeric.collect())
    }

    fn logger(dir: &std::path::Path, first_step: i64, every: usize) -> TensorBoardLogger {
        let mut logger = TensorBoardLogger::new(TensorBoard::create(dir, first_step), every);
        for name in ["Step", "Learning Rate", "Loss"] {
            logger.log_metric_definition(MetricDefinition {
                metric_id: id(name),
                name: Arc::new(name.to_string()),
                description: None,
                attributes: MetricAttributes::None,
            });
        }
        logger
    }

    fn points(dir: &std::path::Path) -> Vec<(String, i64, f32)> {
        let events = read_events(dir);
        let values = events.iter().filter(|e| e.has_summary()).map(|e| {
            let value = &e.get_summary().value[0];
            (value.get_tag().to_string(), e.step, value.get_simple_value())
        });
        values.collect()
    }

    #[test]
    fn train_by_step_and_valid_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = logger(dir.path(), 0, 2);
        for step in 1..=5 {
            let step = f64::from(step);
            let entries = [
                ("Loss", NumericEntry::Aggregated { aggregated_value: step / 4.0, count: 8 }),
                ("Learning Rate", NumericEntry::Value(0.5)),
                ("Step", NumericEntry::Value(step)),
                ("Unknown", NumericEntry::Value(9.0)),
            ];
            // Twice, as when gradients accumulate over two batches.
            logger.log(update(&entries), 1, &Split::Train);
            logger.log(update(&entries), 1, &Split::Train);
        }
        logger.log(update(&[("Loss", NumericEntry::Final(9.0))]), 1, &Split::Train);
        logger.log(update(&[("Loss", NumericEntry::Value(9.0))]), 1, &Split::Valid);
        let finals = [("Loss", NumericEntry::Final(0.75)), ("Step", NumericEntry::Final(1.0))];
        logger.log(update(&finals), 1, &Split::Valid);
        // A validation without items.
        logger.log(update(&[("Loss", NumericEntry::Final(f64::NAN))]), 2, &Split::Valid);
        let expected = [
            ("train/loss", 2, 0.5),
            ("train/learning_rate", 2, 0.5),
            ("train/loss", 4, 1.0),
            ("train/learning_rate", 4, 0.5),
            ("valid/loss", 5, 0.75),
        ];
        assert_eq!(points(dir.path()), expected.map(|(tag, step, value)| (tag.to_string(), step, value)));
        assert!(logger.read_numeric("Loss", 1, &Split::Train).is_err());
    }

    #[test]
    fn the_parts_of_a_step_are_one_point_whichever_comes_first() {
        let values = [(0.1, 8.0), (0.7, 8.0), (0.3, 4.0), (f64::NAN, 8.0)];
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]];
        let means = orders.map(|order| mean(order.map(|i| values[i]).to_vec()));
        assert!(means.iter().all(|found| found.to_bits() == means[0].to_bits()));
        assert!((means[0] - 7.6 / 20.0).abs() < 1e-15);
        assert_eq!(mean(vec![(1e-4, 1.0); 3]), 1e-4, "what is the same is no sum");
        assert!(mean(vec![(f64::NAN, 8.0); 2]).is_nan());
    }

    #[test]
    fn without_a_step_metric_updates_are_counted_from_the_first_step() {
        let dir = tempfile::tempdir().unwrap();
        let mut logger = logger(dir.path(), 10, 1);
        for _ in 0..2 {
            logger.log(update(&[("Loss", NumericEntry::Value(1.0))]), 1, &Split::Train);
        }
        logger.log_epoch_summary(EpochSummary::new(1, Split::Train));
        assert_eq!(points(dir.path()).iter().map(|p| p.1).collect::<Vec<_>>(), [10, 11]);
    }
}
