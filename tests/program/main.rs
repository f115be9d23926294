//! The program as people run it: a process in a folder, its files, its words and its exit code.
mod advise;
mod bad_data;
mod commands;
#[path = "../dice/mod.rs"]
mod dice;
mod finished;
mod killed;
#[cfg(target_os = "linux")]
mod offline;
mod place;
mod side_by_side;
#[cfg(unix)]
mod stopped;
#[cfg(unix)]
mod terminal;
mod usage;
mod written;
