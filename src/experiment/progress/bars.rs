//! Progress as bars in a terminal, by indicatif.
use super::{Progress, spoken, time_left};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bar for each running task, the innermost lowest, on the standard error stream.
#[derive(Debug, Default)]
pub struct Bars {
    screen: MultiProgress,
    tasks: Mutex<Vec<ProgressBar>>,
}

/// Name, bar, parts, and how long it will take.
const LOOK: &str = "{msg:<24} {bar:32} {pos}/{len}  {left}";

fn style() -> ProgressStyle {
    let left = |state: &ProgressState, out: &mut dyn Write| {
        if let Some(left) = time_left(state.elapsed(), state.pos(), state.len().unwrap_or_default()) {
            // A terminal that has gone is no reason to stop.
            let _ = write!(out, "about {} left", spoken(left));
        }
    };
    let style = ProgressStyle::with_template(LOOK).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("left", left)
}

impl Bars {
    fn tasks(&self) -> MutexGuard<'_, Vec<ProgressBar>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: u64) {
        let bar = self.screen.add(ProgressBar::new(total).with_style(style()).with_message(what.to_string()));
        bar.tick();
        self.tasks().push(bar);
    }

    fn at(&self, done: u64) {
        if let Some(bar) = self.tasks().last() {
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.tasks().pop() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn message(&self, text: &str) {
        // A terminal that has gone is no reason to stop.
        let _ = self.screen.println(text);
    }

    fn pause(&self) {
        // Nothing ticks by itself, so the bars stay away until the next report.
        let _ = self.screen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_is_a_template() {
        ProgressStyle::with_template(LOOK).unwrap();
    }

    #[test]
    fn every_order_of_reports_is_borne() {
        let bars = Bars::default();
        bars.end();
        bars.at(1);
        bars.begin("cells", 2);
        bars.begin("sampling", 0);
        bars.at(7);
        bars.pause();
        bars.message("half");
        bars.end();
        assert_eq!(bars.tasks().len(), 1);
    }
}
