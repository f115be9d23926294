//! Killed at any moment and started again, the program makes what it would have made in one sitting.
use crate::dice::Dice;
use crate::place::{Place, photos};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const COMPARE: [&str; 2] = ["compare", "a.json"];

/// Long enough to be killed in the middle of: several arms and seeds, checkpoints within each.
fn long() -> Value {
    let mut config = photos();
    for stage in ["start", "post_train"] {
        config[stage]["steps"] = 60.into();
        config[stage]["steps_per_epoch"] = 10.into();
    }
    config["gamma_search"]["pilot_steps"] = 10.into();
    config["compare"]["seeds"] = serde_json::json!([0, 1]);
    config
}

/// What a table is made of, without the times that it took, and with weights as they are exported: the files that
/// Burn writes name parameters by chance.
fn made(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = place.files("runs/run-a");
    let ends = |name: &Path, end: &str| name.to_string_lossy().ends_with(end);
    files.retain(|name, _| {
        let of_arm = ["ema.bpk", ".f32", ".json"].iter().any(|end| ends(name, end)) && !ends(name, "trained.json");
        let of_table = ["config.json", "results.json", "table.md"].iter().any(|file| name.as_os_str() == *file);
        name.starts_with("arms") && of_arm || of_table
    });
    for (name, bytes) in &mut files {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match name.extension().and_then(|ending| ending.to_str()) {
            Some("json") => {
                let mut json: Value = serde_json::from_slice(bytes).unwrap();
                let times = ["seconds", "sampling_seconds", "training"];
                json.as_object_mut().unwrap().retain(|key, _| !times.contains(&key.as_str()));
                *bytes = json.to_string().into_bytes();
            }
            Some("bpk") => {
                let run = Path::new("runs/run-a").join(name.parent().unwrap());
                place.run(&["export", run.to_str().unwrap(), "weights.safetensors"]).done();
                *bytes = std::fs::read(place.path("weights.safetensors")).unwrap();
            }
            Some("md") => {
                let lines = text(bytes);
                let timeless =
                    lines.lines().filter(|l| !l.starts_with("Milliseconds") && !l.starts_with("Sampling and"));
                *bytes = timeless.collect::<Vec<_>>().join("\n").into_bytes();
            }
            _ => {}
        }
    }
    files
}

/// Waits for `reached`, then kills the program; whether it was still at work.
pub fn killed_once(place: &Place, arguments: &[&str], reached: impl Fn(&Place) -> bool) -> bool {
    let mut child = place.start(arguments);
    let started = Instant::now();
    while !reached(place) && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(120), "nothing to kill after two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    let at_work = child.try_wait().unwrap().is_none();
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

/// Whether a file whose name ends so is below the folder.
pub fn there(place: &Place, below: &str, end: &str) -> bool {
    let mut waiting = vec![place.path(below)];
    while let Some(folder) = waiting.pop() {
        // Folders come and go while the program works.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().to_string_lossy().ends_with(end) {
                return true;
            }
            waiting.extend(entry.path().is_dir().then(|| entry.path()));
        }
    }
    false
}

#[test]
fn a_table_in_many_sittings_is_that_of_one() {
    let (whole, parts) = (Place::new(), Place::new());
    for place in [&whole, &parts] {
        place.write("a.json", &long());
    }
    whole.run(&COMPARE).done();
    let moments: [(&str, &str); 4] = [
        ("runs/cache", "step-00000030/COMPLETE"),
        ("runs/run-a/arms", "step-00000020/COMPLETE"),
        ("runs/run-a/arms", "ema.bpk"),
        ("runs/run-a/arms", "seed-1/checkpoints/step-00000040/COMPLETE"),
    ];
    let killed = moments.map(|(below, end)| killed_once(&parts, &COMPARE, |place| there(place, below, end)));
    assert!(killed.iter().filter(|killed| **killed).count() >= 3, "too fast to be killed: {killed:?}");
    assert!(!parts.path("runs/run-a/results.json").exists());
    let told = parts.run(&COMPARE).done().out;
    assert!(told.contains(" arms × seeds to do"), "{told}");
    let (whole, parts) = (made(&whole), made(&parts));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    assert!(whole.len() > 12, "{:?}", whole.keys());
    for (name, bytes) in &whole {
        assert!(bytes == &parts[name], "{} differs", name.display());
    }
}

#[test]
fn a_table_that_is_there_is_not_computed_again() {
    let place = Place::new();
    place.write("a.json", &photos());
    place.run(&COMPARE).done();
    let before = place.files("runs/run-a");
    let told = place.run(&COMPARE).done().out;
    assert!(!told.contains("to do"), "{told}");
    let after = place.files("runs/run-a");
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "a table that is there was written differently");
    // A seed more is computed for the table, and the rest is kept.
    let told = place.run(&["compare", "a.json", "--set", "compare.seeds=[0, 5]"]).done().out;
    assert!(told.contains("3 of 6 arms × seeds to do"), "{told}");
}

/// The files of a run that must be the same, without times and without what Burn numbers by chance.
fn outcome(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = place.files("runs/run-a");
    let name = |path: &Path| path.to_string_lossy().into_owned();
    let of_training = ["ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png", "valid.csv"];
    files.retain(|path, _| of_training.iter().any(|end| name(path).ends_with(end)));
    files.extend(made(place));
    files
}

/// A training in several passes on three devices, whose sums must not depend on who is first.
fn on_three_devices() -> Value {
    let mut config = long();
    config["devices"] = serde_json::json!(["cpu", "cpu", "cpu"]);
    config["post_train"]["batch_size"] = 12.into();
    config["post_train"]["accumulation"] = 2.into();
    config["start"]["batch_size"] = 12.into();
    config["post_train"]["condition_dropout"] = 0.0.into();
    config["post_train"]["checkpoints"] = serde_json::json!({"every_steps": 7});
    config
}

#[test]
#[ignore = "long: MIXFLOW_KILLS=200 cargo test --release --test program -- --ignored --nocapture"]
fn killed_at_random_moments_every_command_ends_as_in_one_sitting() {
    let number = |name: &str, left_out: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(left_out);
    let (kills, seed) = (number("MIXFLOW_KILLS", 20), number("MIXFLOW_SEED", std::process::id().into()));
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let runs: [(&str, Value); 5] = [
        ("post-train", long()),
        ("post-train", on_three_devices()),
        ("compare", long()),
        ("choose-gamma", long()),
        ("slow-flow", long()),
    ];
    for (command, config) in &runs {
        let (whole, parts) = (Place::new(), Place::new());
        for place in [&whole, &parts] {
            place.write("a.json", config);
        }
        let started = Instant::now();
        whole.run(&[command, "a.json"]).done();
        let mut one_sitting = started.elapsed().as_millis() as u64;
        let (mut killed, mut ended) = (0, 0);
        while killed < kills / runs.len() as u64 {
            let mut child = parts.start(&[command, "a.json"]);
            let (started, moment) = (Instant::now(), Duration::from_millis(dice.below(one_sitting.max(200))));
            while started.elapsed() < moment && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if child.try_wait().unwrap().is_some() {
                // It came to its end before: begin anew, so that all moments of a run are met. A machine that is less busy
                // than when the quiet run was timed needs less, and would seldom be killed.
                ended += 1;
                one_sitting = one_sitting.min(started.elapsed().as_millis() as u64);
                let (found, expected) = (outcome(&parts), outcome(&whole));
                assert!(found == expected, "{command}: seed {seed}, after {killed} kills");
                std::fs::remove_dir_all(parts.path("runs")).unwrap();
                continue;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        parts.run(&[command, "a.json"]).done();
        let (found, expected) = (outcome(&parts), outcome(&whole));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{command}: seed {seed}");
        for (name, bytes) in &expected {
            assert!(*bytes == found[name], "{command}: seed {seed}: {} differs", name.display());
        }
        println!("{command}: {killed} kills, {} runs to their end, each the same", ended + 1);
    }
}
