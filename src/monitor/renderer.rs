//! Progress for people who read a log file instead of a dashboard.
use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use burn::train::{Interrupter, LearnerSummary};

const LINE_EVERY: Duration = Duration::from_secs(10);

static SILENT: AtomicBool = AtomicBool::new(false);

/// Lets every later [`renderer`] show nothing, for a program that is asked to be quiet.
pub fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Burn's dashboard if standard output is a terminal, the feature `tui` is on and the environment variable
/// `CI` is not set; [`PlainRenderer`] with a line every ten seconds otherwise.
///
/// `interrupter` is the one of the training, so that the dashboard can stop it; `checkpoint` is the epoch
/// it resumes from.
pub fn renderer(label: &str, interrupter: Interrupter, checkpoint: Option<usize>) -> Box<dyn MetricsRenderer> {
    if SILENT.load(Ordering::Relaxed) {
        return Box::new(PlainRenderer::to(label, LINE_EVERY, Box::new(std::io::sink())));
    }
    #[cfg(feature = "tui")]
    if is_dashboard() {
        let dashboard = burn::train::renderer::default_renderer(interrupter, checkpoint);
        #[cfg(unix)]
        super::terminal::dashboard_begins();
        return dashboard;
    }
    drop((interrupter, checkpoint));
    Box::new(PlainRenderer::new(label, LINE_EVERY))
}

/// Whether [`renderer`] shows Burn's dashboard.
pub(crate) fn is_dashboard() -> bool {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    cfg!(feature = "tui") && terminal && std::env::var_os("CI").is_none() && !SILENT.load(Ordering::Relaxed)
}

/// Prints at most one training line per interval, and one line per validation or test.
///
/// ```text
/// sit-b2: epoch 2/10  384/1000 items  loss 0.1234  lr 1.000e-4  left 3m20s
/// sit-b2: epoch 2/10  valid  loss 0.1301
/// ```
pub struct PlainRenderer {
    label: String,
    every: Duration,
    out: Box<dyn Write + Send + Sync>,
    names: HashMap<MetricId, String>,
    train: Vec<(String, f64)>,
    finals: Vec<(String, f64)>,
    epoch: usize,
    epochs: usize,
    split: String,
    items: usize,
    total_items: usize,
    first_epoch: usize,
    /// When the first step had been made, and the epochs done by then.
    first_step: Option<(Instant, f64)>,
    printed: Option<Instant>,
}

impl PlainRenderer {
    /// Prints to standard output, training lines at most once per `every`.
    pub fn new(label: &str, every: Duration) -> Self {
        Self::to(label, every, Box::new(std::io::stdout()))
    }

    /// Prints to `out`, training lines at most once per `every`; errors of `out` are ignored.
    pub fn to(label: &str, every: Duration, out: Box<dyn Write + Send + Sync>) -> Self {
        Self {
            label: label.to_string(),
            every,
            out,
            names: HashMap::new(),
            train: Vec::new(),
            finals: Vec::new(),
            epoch: 1,
            epochs: 0,
            split: String::new(),
            items: 0,
            total_items: 0,
            first_epoch: 1,
            first_step: None,
            printed: None,
        }
    }

    fn line(&mut self, text: &str) {
        // A closed pipe must not stop the training, so this is not println!.
        let _ = writeln!(self.out, "{}: {text}", self.label).and_then(|()| self.out.flush());
    }

    fn begin(&mut self, split: &str, total_items: usize) {
        self.split = split.to_string();
        (self.items, self.total_items) = (0, total_items);
        self.finals.clear();
    }

    fn position(&self) -> String {
        format!("epoch {}/{}", self.epoch, self.epochs)
    }

    fn due(&mut self) -> bool {
        let due = self.printed.is_none_or(|at| at.elapsed() >= self.every);
        if due {
            self.printed = Some(Instant::now());
        }
        due
    }

    fn progress(&mut self) {
        let mut text = format!("{}  {}/{} items", self.position(), self.items, self.total_items);
        if let Some(loss) = find(&self.train, "loss") {
            text += &format!("  loss {loss:.4}");
        }
        if let Some(rate) = find(&self.train, "learning rate") {
            text += &format!("  lr {rate:.3e}");
        }
        if let Some(left) = self.left() {
            text += &format!("  left {}", duration(left));
        }
        self.line(&text);
    }

    /// The time that is left at the pace since the first step, which alone may compile kernels for minutes.
    fn left(&self) -> Option<Duration> {
        let (at, before) = self.first_step?;
        let (done, all) = (self.done(), (self.epochs + 1).saturating_sub(self.first_epoch) as f64);
        if done <= before {
            return None;
        }
        Duration::try_from_secs_f64(at.elapsed().as_secs_f64() * (all - done).max(0.0) / (done - before)).ok()
    }

    /// Epochs that this process has done, the one in work by its part.
    fn done(&self) -> f64 {
        let within = self.items as f64 / self.total_items.max(1) as f64;
        self.epoch.saturating_sub(self.first_epoch) as f64 + within
    }

    fn remember(&mut self, state: &MetricState, of: fn(&mut Self) -> &mut Vec<(String, f64)>) {
        if let MetricState::Numeric(entry, Some(value)) = state
            && let Some(name) = self.names.get(&entry.metric_id).cloned()
        {
            let (list, value) = (of(self), value.current());
            match list.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => list.push((name, value)),
            }
        }
    }

    fn finish(&mut self, position: &str) {
        let mut text = position.to_string();
        for (name, value) in std::mem::take(&mut self.finals) {
            text += &format!("  {name} {}", number(value));
        }
        self.line(&text);
    }

    fn summary(&mut self, summary: Option<LearnerSummary>) {
        if let Some(summary) = summary {
            let _ = writeln!(self.out, "{summary}");
        }
    }
}

fn find(values: &[(String, f64)], name: &str) -> Option<f64> {
    values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.3e}") }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

impl MetricsRendererTraining for PlainRenderer {
    fn update_train(&mut self, state: MetricState) {
        if !matches!(state, MetricState::Numeric(_, Some(NumericEntry::Final(_)))) {
            self.remember(&state, |this| &mut this.train);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        self.remember(&state, |this| &mut this.finals);
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.summary(summary);
        Ok(())
    }
}

impl MetricsRendererEvaluation for PlainRenderer {
    fn update_test(&mut self, _name: EvaluationName, state: MetricState) {
        self.remember(&state, |this| &mut this.finals);
    }

    fn on_test_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.summary(summary);
        Ok(())
    }
}

impl TrainingProgressLogger for PlainRenderer {
    fn start(&mut self, total_epochs: usize, starting_epoch: usize, _items: Option<usize>, _label: Option<&str>) {
        (self.epochs, self.epoch, self.first_epoch) = (total_epochs, starting_epoch, starting_epoch);
        self.first_step = None;
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.begin(split, total_items);
    }

    fn update_split(&mut self, items_processed: usize) {
        self.items = items_processed;
        if self.split == "train" {
            self.first_step = self.first_step.or_else(|| Some((Instant::now(), self.done())));
            if self.due() {
                self.progress();
            }
        }
    }

    fn end_split(&mut self) {
        // A validation of no item is none.
        if self.split == "valid" && self.items > 0 {
            self.finish(&format!("{}  valid", self.position()));
        }
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for PlainRenderer {
    fn start_global_progress(&mut self, _total_tests: usize) {}

    fn start_test(&mut self, name: &str, total_items: usize) {
        self.begin(name, total_items);
    }

    fn update_test_progress(&mut self, items_processed: usize) {
        self.items = items_processed;
    }

    fn end_test(&mut self) {
        self.finish(&format!("test {}", self.split));
    }

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRenderer for PlainRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::train::metric::{MetricAttributes, MetricEntry, SerializedEntry};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn state(name: &str, value: NumericEntry) -> MetricState {
        let id = MetricId::new(Arc::new(name.to_string()));
        MetricState::Numeric(MetricEntry::new(id, SerializedEntry::new(String::new(), String::new())), Some(value))
    }

    fn two_epochs(every: Duration) -> Vec<String> {
        let page = Page::default();
        let mut renderer = PlainRenderer::to("toy", every, Box::new(page.clone()));
        for name in ["Loss", "Learning Rate"] {
            renderer.register_metric(MetricDefinition {
                metric_id: MetricId::new(Arc::new(name.to_string())),
                name: Arc::new(name.to_string()),
                description: None,
                attributes: MetricAttributes::None,
            });
        }
        renderer.start(3, 2, None, None);
        for epoch in [2, 3] {
            renderer.start_split("train", 8);
            for items in [4, 8] {
                renderer.update_train(state("Loss", NumericEntry::Value(0.5)));
                renderer.update_train(state("Learning Rate", NumericEntry::Value(1e-4)));
                renderer.update_split(items);
            }
            renderer.update_train(state("Loss", NumericEntry::Final(7.0)));
            renderer.end_split();
            renderer.start_split("valid", 8);
            renderer.update_valid(state("Loss", NumericEntry::Value(9.0)));
            renderer.update_split(8);
            renderer.update_valid(state("Loss", NumericEntry::Final(0.25)));
            renderer.end_split();
            renderer.update_epoch(epoch);
        }
        renderer.end();
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_string).collect()
    }

    #[test]
    fn one_line_per_interval_and_validation() {
        let lines = two_epochs(Duration::from_secs(3600));
        let expected = [
            "toy: epoch 2/3  4/8 items  loss 0.5000  lr 1.000e-4",
            "toy: epoch 2/3  valid  loss 0.2500",
            "toy: epoch 3/3  valid  loss 0.2500",
        ];
        assert_eq!(lines, expected);
        let lines = two_epochs(Duration::ZERO);
        assert_eq!(lines.len(), 6);
        assert!(lines[4].starts_with("toy: epoch 3/3  8/8 items  loss 0.5000"), "{}", lines[4]);
    }

    #[test]
    fn time_left_extrapolates_the_epochs_of_this_run() {
        let mut renderer = PlainRenderer::to("toy", Duration::ZERO, Box::new(std::io::sink()));
        renderer.start(10, 6, None, None);
        assert_eq!(renderer.left(), None);
        renderer.first_step = Some((Instant::now() - Duration::from_secs(100), 0.0));
        renderer.update_epoch(6);
        let left = renderer.left().unwrap().as_secs_f64();
        assert!((left - 400.0).abs() < 1.0, "{left}");
    }

    #[test]
    fn durations_are_short() {
        let texts = [5, 200, 3725].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(texts, ["5s", "3m20s", "1h02m"]);
    }
}
