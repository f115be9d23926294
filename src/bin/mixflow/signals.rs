//! Ctrl-C and its kin: the first asks for an end that is saved, the second ends at once.
use crate::say;
use burn_mixflow::Stop;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

static STOP: OnceLock<Stop> = OnceLock::new();
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// The end that a signal asks for, heard by whatever is at work.
pub fn stop() -> Stop {
    STOP.get_or_init(Stop::new).clone()
}

/// The exit code of a command that was stopped: 128 and the number of the signal, as shells have it.
pub fn exit_code() -> Option<ExitCode> {
    let signal = u8::try_from(RECEIVED.load(Ordering::SeqCst)).ok().filter(|signal| *signal > 0)?;
    Some(ExitCode::from(128u8.wrapping_add(signal)))
}

/// Handles signals from now on. Where that is impossible they end the program as ever.
#[cfg(unix)]
pub fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    terminal::remember();
    burn_mixflow::monitor::let_signals_through();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let name = match signal {
                SIGINT => "SIGINT",
                SIGTERM => "SIGTERM",
                _ => "SIGHUP",
            };
            let first = RECEIVED.swap(signal, Ordering::SeqCst) == 0;
            if first && stop().is_heard() {
                stop().request(format!("by {name}"));
                say::note(&format!("{name}: this step is finished and saved; once more ends at once"));
            } else {
                if first {
                    say::note(&format!("{name}: ended; what is saved stays, and the same command goes on from there"));
                }
                leave(128 + signal);
            }
        }
    });
}

/// Ends the program with this exit code at once, and gives the terminal back as it was.
#[cfg(any(unix, feature = "remote"))]
pub fn leave(code: i32) -> ! {
    #[cfg(unix)]
    terminal::restore();
    std::process::exit(code)
}

/// Whether whoever started the program wants it to ignore a signal, as `nohup` does with SIGHUP. Where that cannot be read,
/// SIGHUP is left as it is.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => mask >> (signal - 1) & 1 == 1,
        None => signal == signal_hook::consts::SIGHUP,
    }
}

/// Elsewhere signals end the program as ever; the last checkpoint stays whole.
#[cfg(not(unix))]
pub fn listen() {}

#[cfg(unix)]
mod terminal {
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
    use std::io::{IsTerminal, Write};
    use std::sync::OnceLock;

    static BEFORE: OnceLock<Termios> = OnceLock::new();

    /// Keeps how the terminal is set up.
    pub fn remember() {
        if let Ok(modes) = tcgetattr(std::io::stdin()) {
            let _ = BEFORE.set(modes);
        }
    }

    /// Gives the terminal back as it was: no raw mode, no alternate screen, no mouse, the cursor shown.
    pub fn restore() {
        let Some(before) = BEFORE.get() else { return };
        let mut out = std::io::stdout();
        if out.is_terminal() {
            let _ = out.write_all(b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1049l\x1b[?25h");
            let _ = out.flush();
        }
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
    }
}
