//! How far a long task is: bars in a terminal, a line now and then in a log, nothing with `--quiet`.
//!
//! Sampling, pilots, cells and decoding report to a [`Progress`]. Tasks nest, and one thread reports at a time.
//! Burn's own dashboard shows training: call [`Progress::pause`] before it starts. What cannot be written is dropped,
//! for a closed pipe must not stop an experiment.
#[cfg(feature = "cli")]
mod bars;
mod lines;

#[cfg(feature = "cli")]
pub use bars::Bars;
pub use lines::Lines;

use std::fmt::Debug;
use std::time::Duration;

/// Takes reports of how far a task is.
pub trait Progress: Debug + Send + Sync {
    /// Starts a task of `total` parts, within the one that runs. [`Task`] ends it by itself.
    fn begin(&self, what: &str, total: u64);
    /// `done` parts of the innermost task are done.
    fn at(&self, done: u64);
    /// Ends the innermost task.
    fn end(&self);
    /// Says something that stays: a result, or what comes next.
    fn message(&self, text: &str);
    /// Clears the screen of bars until the next report, so that something else can draw.
    fn pause(&self) {}
}

/// A task that ends when it is dropped, also where an error leaves early.
///
/// ```
/// use burn_mixflow::experiment::progress::{Silent, Task};
/// let task = Task::begin(&Silent, "sampling", 4);
/// for batch in 0..4 {
///     // …
///     task.at(batch + 1);
/// }
/// ```
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct Task<'a>(&'a dyn Progress);

impl<'a> Task<'a> {
    /// Begins a task of `total` parts.
    pub fn begin(progress: &'a dyn Progress, what: &str, total: u64) -> Self {
        progress.begin(what, total);
        Self(progress)
    }

    /// `done` parts of it are done.
    pub fn at(&self, done: u64) {
        self.0.at(done);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn at(&self, _: u64) {}
    fn end(&self) {}
    fn message(&self, _: &str) {}
}

/// What suits the standard error stream: nothing if `quiet`, bars in a terminal, else lines. Bars need the feature `cli`.
pub fn for_stderr(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        return Box::new(Silent);
    }
    #[cfg(feature = "cli")]
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return Box::new(Bars::default());
    }
    Box::new(Lines::stderr())
}

/// The time that is left if the rest goes as fast as what is done; `None` before the first part is done.
fn time_left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    let seconds = elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64;
    (done > 0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// A time as people say it: `8 s`, `3 min 20 s`, `28 min`, `2 h 5 min`.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) | (0, m @ 10.., _) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 1, 4), Some(3 * second));
        assert_eq!(time_left(second, 4, 4), Some(Duration::ZERO));
        assert_eq!(time_left(second, 9, 4), Some(Duration::ZERO));
        assert_eq!(time_left(second, 0, 4), None);
        assert_eq!(time_left(Duration::MAX, 1, u64::MAX), None);
    }

    #[test]
    fn times_are_spoken() {
        let said = [0.0, 7.2, 60.0, 200.0, 1690.0, 3600.0, 7500.0].map(|s| spoken(Duration::from_secs_f64(s)));
        assert_eq!(said, ["0 s", "8 s", "1 min", "3 min 20 s", "28 min", "1 h", "2 h 5 min"]);
    }
}
