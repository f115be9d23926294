//! What the program prints. A closed or full standard output never matters.
use burn_mixflow::experiment::progress::{Progress, for_stderr};
use burn_mixflow::{Error, Result};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static QUIET: AtomicBool = AtomicBool::new(false);
static PROGRESS: OnceLock<Arc<dyn Progress>> = OnceLock::new();

/// Lets [`line()`], bars and trainings print nothing.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
    if quiet {
        burn_mixflow::monitor::silence();
    }
}

/// Whether only results and errors are printed.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// How far long tasks are: bars in a terminal, a line now and then in a log, nothing with `--quiet`.
pub fn progress() -> Arc<dyn Progress> {
    PROGRESS.get_or_init(|| Arc::from(for_stderr(is_quiet()))).clone()
}

/// A line on the way to a result.
pub fn line(text: impl AsRef<str>) {
    if !is_quiet() {
        result(text.as_ref());
    }
}

/// A line that is neither result nor error, beside whatever is shown: on standard error, also for a quiet program.
pub fn note(text: &str) {
    burn_mixflow::monitor::note(text);
}

/// What was asked for, printed even if the program is quiet.
pub fn result(text: &str) {
    clear_bars();
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What a command was asked for and nothing else, as a schema: what is not written is missed.
pub fn answer(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}").and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", error)),
        _ => Ok(()),
    }
}

/// An error.
pub fn error(error: &impl std::fmt::Display) {
    clear_bars();
    let _ = writeln!(std::io::stderr(), "error: {error}");
}

/// Bars and text may share a terminal. The bars come back with the next report.
fn clear_bars() {
    if let Some(progress) = PROGRESS.get() {
        progress.pause();
    }
}

/// Seconds for people: `40 s`, `3 min`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    match seconds.max(0.0).round() as u64 {
        s @ 0..90 => format!("{s} s"),
        s @ 90..5400 => format!("{} min", (s + 30) / 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!([3.4, 89.0, 100.0, 3000.0, 7500.0].map(duration), ["3 s", "89 s", "2 min", "50 min", "2 h 5 min"]);
    }
}
