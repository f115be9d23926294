//! The program as people run it: a process in a folder, its files, its words and its exit code.
mod bad_data;
mod commands;
mod finished;
mod killed;
mod place;
mod usage;
