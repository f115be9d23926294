//! TensorBoard's own reader finds in our event files what was written to them.
//!
//! Needs Python with the package `tensorboard`; `MIXFLOW_PYTHON` names the interpreter.
use std::io::Write;
use std::path::Path;
use std::process::Command;

use burn_mixflow::monitor::TensorBoard;
use serde_json::{Value, json};

/// A PNG of 5 x 3 grey pixels.
const GREY: &[u8] = b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x05\x00\x00\x00\x03\
    \x08\x02\x00\x00\x00\xd4\x54\x52\xaf\x00\x00\x00\x0e\x49\x44\x41\x54\x78\xda\x63\x38\x81\x0a\x18\
    \x08\xf0\x01\x4c\x1d\x23\x29\x19\x49\x4a\x09\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

const NO_TENSORBOARD: i32 = 77;

/// What TensorBoard reads from `dir`, or nothing if it is not installed.
fn read(dir: &Path) -> Option<Value> {
    let python = std::env::var("MIXFLOW_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_events.py");
    let output = match Command::new(&python).arg(script).arg(dir).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("{python}: {error}"));
            return None;
        }
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NO_TENSORBOARD) {
        skipped(&format!("{python}: {}", complaint.trim()));
        return None;
    }
    assert!(output.status.success(), "{python} failed:\n{complaint}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Past the test harness, which hides what a passing test prints.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: TensorBoard's reader was not run: {why}");
}

#[test]
fn tensorboard_reads_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let board = TensorBoard::create(dir.path(), 0);
    for step in 1..=3 {
        board.scalar("train/loss", 1.0 / f64::from(1 << step), step.into());
    }
    board.histogram("train/t", &[0.1, 0.3, 0.6, 0.9], 2, Some((0.0, 1.0)), 2);
    board.picture("samples", 5, 3, GREY, 3);
    board.text("config", "γ = 0.8", 0);
    board.flush();
    assert_eq!(board.error(), None);
    let Some(found) = read(dir.path()) else { return };
    let expected = json!({
        "scalars": { "train/loss": [[1, 0.5], [2, 0.25], [3, 0.125]] },
        "images": { "samples": [[3, 5, 3, "PNG"]] },
        "histograms": { "train/t": [[2, 4.0, [0.5, 1.0], [2.0, 2.0]]] },
        "texts": { "config": [[0, "γ = 0.8", "text"]] },
    });
    assert_eq!(found, expected);
}

#[test]
fn a_resumed_run_replaces_the_stale_tail() {
    let dir = tempfile::tempdir().unwrap();
    for (first_step, steps, value) in [(0, 1..=6, 1.0), (4, 4..=5, 2.0)] {
        let board = TensorBoard::create(dir.path(), first_step);
        steps.for_each(|step| board.scalar("train/loss", value, step));
        board.flush();
        assert_eq!(board.error(), None);
    }
    let Some(found) = read(dir.path()) else { return };
    let expected = json!([[1, 1.0], [2, 1.0], [3, 1.0], [4, 2.0], [5, 2.0]]);
    assert_eq!(found["scalars"]["train/loss"], expected);
    // Killed before its first checkpoint, a run begins again where it began before.
    let board = TensorBoard::create(dir.path(), 0);
    board.scalar("train/loss", 3.0, 0);
    board.flush();
    assert_eq!(read(dir.path()).unwrap()["scalars"]["train/loss"], json!([[0, 3.0]]));
}
