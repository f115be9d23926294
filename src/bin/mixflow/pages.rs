//! Memory that was freed stays with the process for a while. A training step frees what the next one asks for, and the system
//! clears every page that it hands out: with the allocator's own 10 ms that was a quarter of a step of SiT-B/2.
//!
//! The allocator reads its settings before `main`, from the environment alone: so the program starts itself once more.
use std::ffi::OsStr;

const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// Longer than a step, in milliseconds. What is idle for longer goes back to the system.
const DELAY: &str = "60000";

/// Starts the program anew with the setting, unless the user has one. Where that cannot be, it goes on without.
pub fn keep() {
    use std::os::unix::process::CommandExt;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsStr::new("mixflow").into());
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Returns only if it failed: the process is the same one, and so are its files and its parent.
        let _ = std::process::Command::new(program).arg0(name).args(arguments).env(VARIABLE, DELAY).exec();
    }
}
