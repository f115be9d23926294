//! Progress as plain lines, for logs.
use super::{Progress, spoken, time_left};
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Writes a line at most each few seconds, with the time that is left; and every message.
///
/// `sampling: 500 of 2000, about 12 s left`. A task that ends sooner than its first line says nothing.
pub struct Lines {
    every: Duration,
    state: Mutex<State>,
}

struct State {
    writer: Box<dyn Write + Send>,
    tasks: Vec<Running>,
    written: Instant,
}

struct Running {
    what: String,
    total: u64,
    began: Instant,
    /// Whether a line of it was written.
    shown: bool,
}

impl Lines {
    /// Lines to the standard error stream, at most one each 15 seconds.
    pub fn stderr() -> Self {
        Self::new(Box::new(std::io::stderr()), Duration::from_secs(15))
    }

    /// Lines to `writer`, at most one each `every`; what it refuses is lost.
    pub fn new(writer: Box<dyn Write + Send>, every: Duration) -> Self {
        Self { every, state: Mutex::new(State { writer, tasks: Vec::new(), written: Instant::now() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("every", &self.every).finish_non_exhaustive()
    }
}

impl State {
    fn write(&mut self, line: &str) {
        // A reader that has gone is no reason to stop.
        let _ = writeln!(self.writer, "{line}").and_then(|()| self.writer.flush());
        self.written = Instant::now();
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, total: u64) {
        let task = Running { what: what.into(), total, began: Instant::now(), shown: false };
        self.state().tasks.push(task);
    }

    fn at(&self, done: u64) {
        let mut state = self.state();
        if state.written.elapsed() < self.every {
            return;
        }
        let Some(task) = state.tasks.last_mut().filter(|task| task.began.elapsed() >= self.every) else { return };
        let left = time_left(task.began.elapsed(), done, task.total);
        let left = left.map_or(String::new(), |left| format!(", about {} left", spoken(left)));
        let line = format!("{}: {done} of {}{left}", task.what, task.total);
        task.shown = true;
        state.write(&line);
    }

    fn end(&self) {
        let mut state = self.state();
        if let Some(task) = state.tasks.pop().filter(|task| task.shown) {
            state.write(&format!("{}: done in {}", task.what, spoken(task.began.elapsed())));
        }
    }

    fn message(&self, text: &str) {
        self.state().write(text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;
    use std::io;
    use std::sync::Arc;

    /// A writer whose text can be read.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(paper: &Paper) -> String {
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn tasks_nest_and_end_by_themselves() {
        let paper = Paper::default();
        let lines = Lines::new(Box::new(paper.clone()), Duration::ZERO);
        {
            let outer = Task::begin(&lines, "cells", 2);
            let inner = Task::begin(&lines, "sampling", 8);
            inner.at(8);
            drop(inner);
            outer.at(0);
        }
        lines.at(3);
        lines.end();
        lines.message("ready");
        let text = text(&paper);
        let starts: Vec<&str> = text.lines().map(|line| line.split(" in ").next().unwrap()).collect();
        assert_eq!(
            starts,
            ["sampling: 8 of 8, about 0 s left", "sampling: done", "cells: 0 of 2", "cells: done", "ready"]
        );
    }

    #[test]
    fn short_tasks_say_nothing() {
        let paper = Paper::default();
        let lines = Lines::new(Box::new(paper.clone()), Duration::from_secs(3600));
        let task = Task::begin(&lines, "sampling", 1000);
        (0..1000).for_each(|done| task.at(done));
        drop(task);
        assert_eq!(text(&paper), "");
    }

    #[test]
    fn a_closed_pipe_is_no_reason_to_stop() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let lines = Lines::new(Box::new(Closed), Duration::ZERO);
        let task = Task::begin(&lines, "sampling", 2);
        task.at(1);
        lines.message("half");
        drop(task);
        assert!(lines.state().tasks.is_empty());
    }
}
