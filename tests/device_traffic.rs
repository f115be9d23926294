//! What a training step asks of a GPU, counted and not timed: kernels launched, buffers written, buffers read. wgpu tells its
//! logger of each. Only on a device of `wgpu`, which `MIXFLOW_TEST_DEVICE` names; without it the test says that it is skipped.
mod device;
mod tiny;

use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

/// Steps of the longer training beyond those of the shorter one.
const MORE: i32 = 32;

/// Messages of wgpu by their first word.
static SAID: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu")
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            let word = text.split([' ', '(']).next().unwrap_or_default().to_string();
            *SAID.lock().unwrap().entry(word).or_default() += 1;
        }
    }
    fn flush(&self) {}
}

/// What was said while the tiny SiT trained some steps.
fn said(name: &str, steps: usize, folder: &Path) -> BTreeMap<String, u64> {
    let stage = json!({"steps": steps, "steps_per_epoch": steps, "accumulation": 1});
    let experiment = tiny::opened("sit", name, json!({"post_train": stage})).unwrap();
    let (start, _) = experiment.start().unwrap();
    SAID.lock().unwrap().clear();
    experiment.post_train(start, folder, None).unwrap();
    std::mem::take(&mut *SAID.lock().unwrap())
}

#[test]
fn a_step_asks_no_more_of_a_device_than_it_must() {
    let Some(name) = device::named().filter(|name| name.starts_with("wgpu")) else {
        // Past the test harness, which hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} names no device of wgpu such as wgpu:0", device::VARIABLE);
        return;
    };
    log::set_logger(&Counter).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let folder = tempfile::tempdir().unwrap();
    // Kernels are compiled in the first.
    said(&name, 4, &folder.path().join("warm"));
    let short = said(&name, 8, &folder.path().join("short"));
    let long = said(&name, 8 + MORE as usize, &folder.path().join("long"));
    let each = |word: &str| {
        let of = |counts: &BTreeMap<String, u64>| counts.get(word).copied().unwrap_or(0) as f64;
        (of(&long) - of(&short)) / f64::from(MORE)
    };
    let [launches, reads, writes] = ["ComputePass::dispatch", "Buffer::map_async", "Queue::write_buffer"].map(each);
    let _ = writeln!(std::io::stderr(), "a step: {launches} kernels, {reads} reads, {writes} writes");
    // The norm of the gradients and the losses; validations and checkpoints are divided by the steps.
    assert!((2.0..2.2).contains(&reads), "{reads} reads a step");
    // The batch and its draws, and arguments of kernels that were not the same before, as the corrections of AdamW.
    assert!((40.0..50.0).contains(&writes), "{writes} writes a step");
    assert!((800.0..840.0).contains(&launches), "{launches} kernels a step");
}
