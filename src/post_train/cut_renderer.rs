//! Shows a training by its validations, wherever it is cut.
use crate::train::Segments;
use burn::train::LearnerSummary;
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use std::error::Error;

/// Hands everything to another renderer, but for Burn's epochs that only end at a cut, and validations of no item.
pub(super) struct CutRenderer {
    pub inner: Box<dyn MetricsRenderer>,
    pub segments: Segments,
    /// All epochs, from one validation to the next.
    pub epochs: usize,
    /// The items of a validation that has begun and of which nothing was seen.
    pub unseen: Option<usize>,
}

impl CutRenderer {
    fn epoch(&self) -> usize {
        self.segments.done() / self.segments.validate_every().max(1)
    }

    /// Something of the validation is there.
    fn seen(&mut self) {
        if let Some(items) = self.unseen.take() {
            self.inner.start_split("valid", items);
        }
    }
}

impl TrainingProgressLogger for CutRenderer {
    fn start(&mut self, _: usize, _: usize, items: Option<usize>, label: Option<&str>) {
        self.inner.start(self.epochs, self.epoch() + 1, items, label);
    }

    fn update_epoch(&mut self, _: usize) {
        if self.segments.is_validated() {
            self.inner.update_epoch(self.epoch());
        }
    }

    fn start_split(&mut self, split: &str, items: usize) {
        if split == "valid" {
            self.unseen = Some(items);
        } else {
            self.inner.start_split(split, items);
        }
    }

    fn update_split(&mut self, items: usize) {
        self.seen();
        self.inner.update_split(items);
    }

    fn end_split(&mut self) {
        if self.unseen.take().is_none() {
            self.inner.end_split();
        }
    }

    fn end(&mut self) {
        self.inner.end();
    }

    fn log_event_training(&mut self, event: String) {
        self.inner.log_event_training(event);
    }
}

impl MetricsRendererTraining for CutRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.inner.update_train(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        // The mean of a validation of no item is no number.
        let mean = matches!(&state, MetricState::Numeric(_, Some(burn::train::metric::NumericEntry::Final(_))));
        if !(mean && self.unseen.is_some()) {
            self.seen();
            self.inner.update_valid(state);
        }
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.inner.on_train_end(summary)
    }
}

impl MetricsRendererEvaluation for CutRenderer {
    fn update_test(&mut self, name: EvaluationName, state: MetricState) {
        self.inner.update_test(name, state);
    }

    fn on_test_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.inner.on_test_end(summary)
    }
}

impl EvaluationProgressLogger for CutRenderer {
    fn start_global_progress(&mut self, total_tests: usize) {
        self.inner.start_global_progress(total_tests);
    }

    fn start_test(&mut self, name: &str, items: usize) {
        self.inner.start_test(name, items);
    }

    fn update_test_progress(&mut self, items: usize) {
        self.inner.update_test_progress(items);
    }

    fn end_test(&mut self) {
        self.inner.end_test();
    }

    fn end_global_progress(&mut self) {
        self.inner.end_global_progress();
    }

    fn log_event_evaluation(&mut self, event: String) {
        self.inner.log_event_evaluation(event);
    }
}

impl MetricsRenderer for CutRenderer {
    fn manual_close(&mut self) {
        self.inner.manual_close();
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.inner.register_metric(definition);
    }
}
