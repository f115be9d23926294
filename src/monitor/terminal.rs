//! Ctrl-C under the dashboard.
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static WANTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C send its signal while the dashboard is shown, which otherwise takes it for a key without a meaning. For a
/// program that handles SIGINT: without a handler the signal would leave the terminal in the dashboard's hands.
pub fn let_signals_through() {
    WANTED.store(true, Ordering::Relaxed);
}

/// The dashboard was made; it sets up the terminal in a thread of its own.
pub(super) fn dashboard_begins() {
    if WANTED.load(Ordering::Relaxed) {
        // If the terminal is not its own after this time, Ctrl-C has not lost its meaning either.
        let _ = (0..200).find(|_| {
            std::thread::sleep(Duration::from_millis(5));
            signals_again()
        });
    }
}

/// Turns signals on again where the dashboard has turned them off; whether it had.
fn signals_again() -> bool {
    let terminal = std::io::stdin();
    let Ok(mut modes) = tcgetattr(&terminal) else { return true };
    if modes.local_modes.contains(LocalModes::ICANON) {
        return false;
    }
    modes.local_modes |= LocalModes::ISIG;
    // Suspended, the process would leave the dashboard's screen to the shell.
    modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(&terminal, OptionalActions::Now, &modes).is_ok()
}
