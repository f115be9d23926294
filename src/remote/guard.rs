//! What is said when a host vanishes in the middle of work.
use super::client::{Opened, opened};
use crate::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A host that answers nothing for so long, once something has failed, is taken to be lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is said of a device that is lost.
pub(super) const LOST: &str = "the host no longer answers: it was ended, or the way to it is cut; the same command goes on when \
                               it is back, or with other `devices`";

/// Does `work`; if it fails as a host has vanished, the error names the host.
///
/// Burn panics where it misses an answer, so a panic is an error here while a host is lost, and goes on otherwise.
///
/// # Errors
/// Those of `work`, or [`Error::Device`] that names the devices lost.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        // What was said with care stays: it names the host, or has nothing to do with one.
        Ok(Err(error @ (Error::Device { .. } | Error::Training(_) | Error::Stopped { .. }))) => Err(error),
        Ok(Err(error)) => Err(lost().unwrap_or(error)),
        Err(panic) => Err(lost().unwrap_or_else(|| resume_unwind(panic))),
    }
}

/// An error that names the devices opened so far that no longer answer; none if all do.
pub(crate) fn lost() -> Option<Error> {
    let devices: Vec<Opened> = opened().clone();
    let asked: Vec<_> = devices.into_iter().map(ask).collect();
    let until = Instant::now() + PATIENCE;
    let is_silent = |answer: &mpsc::Receiver<bool>| {
        !answer.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or(false)
    };
    let silent: Vec<String> = asked.into_iter().filter(|(_, answer)| is_silent(answer)).map(|(name, _)| name).collect();
    (!silent.is_empty()).then(|| Error::Device { name: silent.join("`, `"), message: LOST.into() })
}

/// Asks a device to finish what it was sent; whether it did comes back.
fn ask(Opened { name, device }: Opened) -> (String, mpsc::Receiver<bool>) {
    let (answer, answered) = mpsc::channel();
    std::thread::spawn(move || {
        let is_there = catch_unwind(AssertUnwindSafe(|| device.sync().is_ok())).unwrap_or(false);
        answer.send(is_there)
    });
    (name, answered)
}
