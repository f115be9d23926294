//! Asking for an end.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Asks trainings to end after the step they are in; what they have reached is saved.
///
/// Every clone is the same. Burn's interrupter is not enough for this: its dashboard forgets stops and errors when a
/// training ends.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    reason: Mutex<Option<String>>,
    heard: AtomicUsize,
}

impl Stop {
    /// Nothing is asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an end. The first reason is kept.
    pub fn request(&self, reason: impl Into<String>) {
        self.state.reason.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert_with(|| reason.into());
    }

    /// Why an end was asked for; `None` as long as it was not.
    pub fn reason(&self) -> Option<String> {
        self.state.reason.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Whether something is at work that will end and save; if not, nothing is lost by ending at once.
    pub fn is_heard(&self) -> bool {
        self.state.heard.load(Ordering::SeqCst) > 0
    }

    /// Something is at work that hears this, until the returned value is dropped.
    pub fn hear(&self) -> Hearing {
        self.state.heard.fetch_add(1, Ordering::SeqCst);
        Hearing { stop: self.clone() }
    }
}

/// Something at work that hears a [`Stop`]: see [`Stop::hear`].
#[derive(Debug)]
pub struct Hearing {
    stop: Stop,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop.state.heard.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_kept_and_hearing_ends() {
        let stop = Stop::new();
        assert_eq!((stop.reason(), stop.is_heard()), (None, false));
        let hearing = stop.clone().hear();
        assert!(stop.is_heard());
        drop(hearing);
        stop.request("first");
        stop.clone().request("second");
        assert_eq!((stop.reason().as_deref(), stop.is_heard()), (Some("first"), false));
    }
}
