//! Lets the n-th operation below a folder fail, and all later ones if it is told to.
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

/// What fails below one folder.
#[derive(Debug)]
struct Plan {
    below: PathBuf,
    at: usize,
    lasting: bool,
    seen: usize,
}

/// What a plan did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// The operations that were asked for, the failed one included.
    pub operations: usize,
    /// What the work under the fault returned.
    pub told: bool,
}

fn plans() -> MutexGuard<'static, Vec<Plan>> {
    PLANS.lock().unwrap_or_else(|e| e.into_inner())
}

/// Runs `work` with the operation `at` below `folder` failing; `None` once there are fewer operations than that.
pub fn walk(folder: &Path, at: usize, work: impl FnOnce() -> bool) -> Option<Fault> {
    run(folder, at, false, work)
}

/// As [`walk`]; every operation from `at` on fails, as on a full disk.
pub fn walk_lasting(folder: &Path, at: usize, work: impl FnOnce() -> bool) -> Option<Fault> {
    run(folder, at, true, work)
}

fn run(folder: &Path, at: usize, lasting: bool, work: impl FnOnce() -> bool) -> Option<Fault> {
    plans().push(Plan { below: folder.to_path_buf(), at, lasting, seen: 0 });
    let told = work();
    let mut plans = plans();
    let place = plans.iter().position(|plan| plan.below == folder)?;
    let plan = plans.swap_remove(place);
    (plan.seen > at).then_some(Fault { operations: plan.seen, told })
}

/// One operation on `path`.
pub fn next(path: &Path) -> io::Result<()> {
    let mut plans = plans();
    let Some(plan) = plans.iter_mut().find(|plan| path.starts_with(&plan.below)) else { return Ok(()) };
    plan.seen += 1;
    let hit = plan.seen == plan.at + 1 || plan.lasting && plan.seen > plan.at;
    if hit { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
}

/// The operation that writes the bytes: half of them arrive before the disk is full.
pub fn bytes(file: &Path, out: &mut File, bytes: &[u8]) -> io::Result<()> {
    next(file).inspect_err(|_| {
        let _ = out.write_all(&bytes[..bytes.len() / 2]);
    })
}
