//! Lines for people that must not stop anything, nor be painted over by the dashboard.
use std::io::Write;
use std::sync::Mutex;

/// The warnings of a dashboard that is shown; `None` while there is none.
static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// More than this says nothing new.
const MOST: usize = 100;

/// Says that something is not as it should be, as [`note`] does.
pub fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Says `text` on standard error, after the dashboard has closed if it is shown. A closed standard error does not matter.
pub fn note(text: &str) {
    if let Some(kept) = KEPT.lock().unwrap_or_else(|e| e.into_inner()).as_mut() {
        if kept.len() < MOST {
            kept.push(text.to_string());
        }
        return;
    }
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Keeps warnings until it is dropped, and then says them.
pub(crate) struct WarningsKept(());

impl WarningsKept {
    pub fn new() -> Self {
        *KEPT.lock().unwrap_or_else(|e| e.into_inner()) = Some(Vec::new());
        Self(())
    }
}

impl Drop for WarningsKept {
    fn drop(&mut self) {
        let kept = KEPT.lock().unwrap_or_else(|e| e.into_inner()).take();
        kept.into_iter().flatten().for_each(|text| note(&text));
    }
}
