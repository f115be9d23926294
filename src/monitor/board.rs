//! The TensorBoard handle everything that draws shares.
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::EventWriter;

/// A shared event file that can fail without stopping the run.
///
/// The first I/O error prints one warning line, is kept for [`error`](Self::error) and turns the handle off.
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
        let opened = EventWriter::create(dir);
        let board = Self { state: Arc::new(Mutex::new(State { writer: None, error: None })), first_step };
        match opened {
            Ok(writer) => board.lock().writer = Some(writer),
            Err(error) => board.lock().turn_off(format!("{}: {error}", dir.display())),
        }
        board.with(|w| w.restart_at(first_step));
        board
    }

    /// The first I/O error, if there was one; nothing has been written since.
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
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => super::warn(&format!("TensorBoard: {error}")),
            Err(error) => {
                let message = format!("{}: {error}", writer.path().display());
                state.turn_off(message);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn turn_off(&mut self, message: String) {
        super::warn(&format!("TensorBoard logging is off: {message}"));
        self.error = Some(message);
        self.writer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::tests::read_events;
    use super::*;

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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_turns_it_off() {
        let dir = tempfile::tempdir().unwrap();
        let board = TensorBoard::create(dir.path(), 0);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        assert!(EventWriter::start(full, "/dev/full".into()).is_err());
        // The version record is flushed at once, so later errors are provoked by reopening the file on a full device.
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        board.lock().writer.as_mut().unwrap().redirect(full);
        board.scalar("a", 1.0, 0);
        assert_eq!(board.error(), None);
        board.flush();
        assert!(board.error().unwrap().contains("No space left"));
        board.scalar("a", 1.0, 1);
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
