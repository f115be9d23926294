//! The TensorBoard handle everything that draws shares.
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::EventWriter;

/// A shared event file that can fail without stopping the run.
///
/// What cannot be written waits, up to 64 MiB, and is tried again with what follows. The first error prints one warning
/// line and is what [`error`](Self::error) says until all is written.
#[derive(Clone)]
pub struct TensorBoard {
    state: Arc<Mutex<State>>,
    first_step: i64,
}

struct State {
    writer: Option<EventWriter>,
    error: Option<String>,
}

impl std::fmt::Debug for TensorBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first_step, error) = (self.first_step, self.error());
        f.debug_struct("TensorBoard").field("first_step", &first_step).field("error", &error).finish()
    }
}

impl TensorBoard {
    /// Opens a new event file in `dir`.
    ///
    /// `first_step` is the first step this run will write: TensorBoard drops what an earlier, interrupted run wrote
    /// at that step or later. At 0 that is all of a run that was killed before its first checkpoint.
    pub fn create(dir: &Path, first_step: i64) -> Self {
        let state = State { writer: Some(EventWriter::waiting(dir)), error: None };
        let board = Self { state: Arc::new(Mutex::new(state)), first_step };
        board.flush();
        board.with(|w| w.restart_at(first_step));
        board
    }

    /// The error that keeps events from being written, if there is one.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    /// The first step this run will write, as given to [`create`](Self::create).
    pub fn first_step(&self) -> i64 {
        self.first_step
    }

    /// One point of a curve, see [`EventWriter::scalar`].
    pub fn scalar(&self, tag: &str, value: f64, step: i64) {
        self.with(|w| w.scalar(tag, value, step));
    }

    /// A histogram, see [`EventWriter::histogram`].
    pub fn histogram(&self, tag: &str, values: &[f32], bins: usize, range: Option<(f32, f32)>, step: i64) {
        self.with(|w| w.histogram(tag, values, bins, range, step));
    }

    /// A picture encoded as PNG, see [`EventWriter::picture`]; one of another size is skipped with a warning line.
    pub fn picture(&self, tag: &str, width: u32, height: u32, png: &[u8], step: i64) {
        self.with(|w| w.picture(tag, width, height, png, step));
    }

    /// A Markdown text, see [`EventWriter::text`].
    pub fn text(&self, tag: &str, text: &str, step: i64) {
        self.with(|w| w.text(tag, text, step));
    }

    /// Makes everything written so far visible to TensorBoard.
    pub fn flush(&self) {
        self.with(EventWriter::flush);
    }

    fn with(&self, write: impl FnOnce(&mut EventWriter) -> io::Result<()>) {
        let mut state = self.lock();
        let Some(writer) = &mut state.writer else { return };
        match write(writer) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => super::warn(&format!("TensorBoard: {error}")),
            written => {
                let written = written.map_err(|error| format!("{}: {error}", writer.path().display()));
                state.told(written);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn told(&mut self, written: Result<(), String>) {
        let Some(writer) = &self.writer else { return };
        if let (Err(error), true) = (&written, writer.is_hopeless()) {
            super::warn(&format!("TensorBoard logging is off, as 64 MiB of events wait: {error}"));
            self.error = Some(error.clone());
            // It tries once more to write what waits.
            self.writer = None;
            return;
        }
        let is_waiting = writer.is_waiting();
        match (written, &self.error) {
            (Err(error), None) => {
                super::warn(&format!(
                    "TensorBoard's file cannot be written now, and events wait until it can: {error}"
                ));
                self.error = Some(error);
            }
            (Ok(()), Some(_)) if !is_waiting => {
                super::note("TensorBoard's file is written again, and nothing is missing in it");
                self.error = None;
            }
            _ => {}
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        match writer.flush() {
            Err(error) => {
                super::warn(&format!("TensorBoard's last events are lost: {}: {error}", writer.path().display()))
            }
            written => self.told(written.map_err(|error| error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::tests::read_events;
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn an_unwritable_folder_is_remembered() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let board = TensorBoard::create(&file.path().join("tb"), 3);
        let error = board.error().unwrap();
        assert!(error.contains("tb: "), "{error}");
        board.scalar("a", 1.0, 0);
        board.text("a", "b", 0);
        board.flush();
        assert_eq!(board.error(), Some(error));
    }

    #[test]
    fn a_full_disk_is_told_once_and_what_waits_is_written_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let board = TensorBoard::create(dir.path(), 0);
        let (has_room, file) = (Arc::new(AtomicBool::new(false)), dir.path().join("events.out.tfevents.later"));
        let (asked, name) = (has_room.clone(), file.clone());
        board.lock().writer.as_mut().unwrap().redirect(move || {
            if !asked.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok((std::fs::File::create(&name)?, name.clone()))
        });
        board.scalar("a", 1.0, 0);
        assert_eq!(board.error(), None);
        board.flush();
        assert!(board.error().unwrap().contains("no storage space"), "{:?}", board.error());
        board.scalar("a", 2.0, 1);
        has_room.store(true, Ordering::SeqCst);
        board.flush();
        assert_eq!(board.error(), None);
        let steps: Vec<_> = read_events(dir.path()).iter().filter(|e| e.has_summary()).map(|e| e.step).collect();
        assert_eq!(steps, [0, 1]);
    }

    #[test]
    fn an_event_file_on_a_full_device_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("no-folder");
        std::fs::write(&file, "").unwrap();
        assert!(EventWriter::create(&file.join("tb")).is_err());
    }

    #[test]
    fn a_wrong_picture_does_not_turn_it_off() {
        let dir = tempfile::tempdir().unwrap();
        let board = TensorBoard::create(dir.path(), 0);
        board.picture("i", 2, 2, &[0; 3], 0);
        board.scalar("a", 1.0, 0);
        board.flush();
        assert_eq!((board.error(), read_events(dir.path()).len()), (None, 3));
    }

    #[test]
    fn a_resumed_run_says_where_it_starts() {
        let dir = tempfile::tempdir().unwrap();
        TensorBoard::create(dir.path(), 0);
        drop(TensorBoard::create(dir.path(), 41));
        let events = read_events(dir.path());
        let starts: Vec<_> = events.iter().filter(|e| e.has_session_log()).map(|e| e.step).collect();
        assert_eq!(starts, [0, 41]);
    }
}
