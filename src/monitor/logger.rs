//! Burn's metrics as TensorBoard curves over the global step.
use std::collections::HashMap;

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};

use super::TensorBoard;

const STEP: &str = "Step";

/// Writes every numeric metric as `train/<name>` every few steps and as `valid/<name>` when validation ends.
///
/// The x axis is the numeric metric named `Step` of the same update, for validation that of the last
/// training update; without such a metric training updates are counted. Names are lower-cased, spaces
/// become `_`. Register it beside Burn's `FileMetricLogger`, which Burn needs to read values back.
pub struct TensorBoardLogger {
    board: TensorBoard,
    every: i64,
    names: HashMap<MetricId, String>,
    step: i64,
    written: Option<i64>,
}

impl TensorBoardLogger {
    /// Logs to `board`, training metrics at the steps divisible by `every` (0 counts as 1).
    pub fn new(board: TensorBoard, every: usize) -> Self {
        let every = i64::try_from(every).unwrap_or(i64::MAX).max(1);
        let step = board.first_step() - 1;
        Self { board, every, names: HashMap::new(), step, written: None }
    }

    fn train(&mut self, values: &[(String, f64)]) {
        self.step = values.iter().find(|(name, _)| name == STEP).map_or(self.step + 1, |(_, step)| *step as i64);
        // Several updates share a step when gradients accumulate.
        if self.step % self.every == 0 && self.written != Some(self.step) {
            self.written = Some(self.step);
            self.write("train", values);
        }
    }

    fn write(&self, prefix: &str, values: &[(String, f64)]) {
        for (name, value) in values.iter().filter(|(name, _)| name != STEP) {
            let name = name.to_lowercase().replace(' ', "_");
            self.board.scalar(&format!("{prefix}/{name}"), *value, self.step);
        }
    }
}

impl MetricLogger for TensorBoardLogger {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        let mut end_of_split = false;
        let mut values = Vec::with_capacity(update.entries_numeric.len());
        for metric in &update.entries_numeric {
            if let (Some(name), Some(entry)) = (self.names.get(&metric.entry.metric_id), &metric.numeric_entry) {
                end_of_split |= matches!(entry, NumericEntry::Final(_));
                values.push((name.clone(), entry.current()));
            }
        }
        match (split, end_of_split) {
            (Split::Train, false) => self.train(&values),
            (Split::Train, true) | (_, false) => {}
            (Split::Valid, true) => self.write("valid", &values),
            (Split::Test(None), true) => self.write("test", &values),
            (Split::Test(Some(name)), true) => self.write(&format!("test/{name}"), &values),
        }
        if end_of_split {
            self.board.flush();
        }
    }

    fn read_numeric(&mut self, _name: &str, _epoch: usize, _split: &Split) -> Result<Vec<NumericEntry>, String> {
        // An empty list would hide the values another logger has.
        Err("the TensorBoard logger keeps no values".to_string())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {
        self.board.flush();
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
