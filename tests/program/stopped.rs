//! Signals to the program without a terminal, and two programs in one folder.
use crate::place::{Place, photos};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

fn long(steps: usize) -> Value {
    let mut config = photos();
    config["post_train"]["steps"] = steps.into();
    config["post_train"]["steps_per_epoch"] = steps.into();
    config
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[track_caller]
fn wait_for(child: &mut Child, what: &str, reached: impl Fn() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(child.try_wait().unwrap().is_none(), "ended before {what}");
        assert!(started.elapsed() < Duration::from_secs(120), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_training(place: &Place, folder: &str) -> impl Fn() -> bool + use<> {
    let (table, since) = (place.path(folder).join("metrics/train.csv"), SystemTime::now());
    // A table that an earlier process left says nothing of this one.
    move || std::fs::metadata(&table).is_ok_and(|file| file.len() > 0 && file.modified().is_ok_and(|at| at >= since))
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_signal_is_saved_and_the_training_goes_on_as_if_it_had_not_been() {
    let (place, whole) = (Place::new(), Place::new());
    for place in [&place, &whole] {
        place.write("a.json", &long(6000));
    }
    for (signal, code, name) in [(Signal::TERM, 143, "SIGTERM"), (Signal::INT, 130, "SIGINT")] {
        let mut child = place.start_heard(&["post-train", "a.json"]);
        wait_for(&mut child, "a step", is_training(&place, "runs/run-a/post_train"));
        std::thread::sleep(Duration::from_millis(150));
        send(&child, signal);
        let (found, said) = ended(child);
        assert_eq!(found, Some(code), "{said}");
        assert!(said.contains(&format!("post_train: stopped by {name}, with step ")), "{said}");
        assert!(!place.path("runs/run-a/post_train/ema.bpk").exists());
    }
    place.run(&["post-train", "a.json"]).done();
    whole.run(&["post-train", "a.json"]).done();
    for name in ["ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png", "metrics/valid.csv"] {
        let read = |place: &Place| std::fs::read(place.path("runs/run-a/post_train").join(name)).unwrap();
        assert!(read(&place) == read(&whole), "{name} differs");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    // Validations of many items after each step would be finished first.
    place.write("a.json", &long(100_000));
    let mut child = place.start_heard(&["post-train", "a.json"]);
    wait_for(&mut child, "a step", is_training(&place, "runs/run-a/post_train"));
    let asked = Instant::now();
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    let (code, said) = ended(child);
    assert!(matches!(code, Some(130 | 143)), "{code:?}: {said}");
    assert!(asked.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let place = Place::new();
    place.write("a.json", &long(400));
    let program = env!("CARGO_BIN_EXE_mixflow");
    let mut command = std::process::Command::new("nohup");
    command.args([program, "post-train", "a.json"]).current_dir(place.path("")).stdin(std::process::Stdio::null());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, "a step", is_training(&place, "runs/run-a/post_train"));
    send(&child, Signal::HUP);
    let (code, said) = ended(child);
    assert_eq!(code, Some(0), "{said}");
    place.has("runs/run-a/post_train", &["ema.bpk"]);
}

#[test]
fn the_jobs_of_a_table_are_saved_when_it_is_stopped() {
    let place = Place::new();
    let mut config = long(4000);
    config["compare"]["workers"] = 2.into();
    place.write("a.json", &config);
    let mut child = place.start_heard(&["compare", "a.json"]);
    let arms = place.path("runs/run-a/arms");
    wait_for(&mut child, "a step of a job", || below(&arms, "train.csv") > 0);
    std::thread::sleep(Duration::from_millis(300));
    send(&child, Signal::TERM);
    let (code, said) = ended(child);
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("stopped by SIGTERM"), "{said}");
    assert!(below(&arms, "COMPLETE") > 0, "no job was saved: {said}");
}

/// As a terminal and `kill -- -GROUP` do it: the last jobs end before the program has looked again.
#[test]
fn a_table_whose_last_jobs_are_stopped_with_it_is_not_whole() {
    let place = Place::new();
    let mut config = photos();
    let arms = json!([{"name": "as they are", "weights": "start"}]);
    config["compare"] = json!({
        "arms": arms, "control": "as they are", "seeds": [1, 2], "evaluations": [10, 4000], "samples": 400, "workers": 2
    });
    place.write("a.json", &config);
    let mut child = place.heard(&["compare", "a.json"]).process_group(0).spawn().unwrap();
    let logs = place.path("runs/run-a/logs");
    wait_for(&mut child, "the last job", || below(&logs, "arm-0-seed-2.txt") > 0);
    std::thread::sleep(Duration::from_millis(500));
    kill_process_group(Pid::from_child(&child), Signal::TERM).unwrap();
    let (code, said) = ended(child);
    assert_eq!(code, Some(143), "{said}");
    assert!(!place.path("runs/run-a/results.json").exists(), "{said}");
    place.run(&["compare", "a.json"]).done();
    place.has("runs/run-a", &["results.json"]);
}

/// How many files of this name lie below a folder.
fn below(folder: &Path, name: &str) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { below(&entry.path(), name) } else { usize::from(entry.file_name() == name) }
            },
        )
        .sum()
}

#[test]
fn until_a_step_is_a_success_that_goes_on() {
    let place = Place::new();
    place.write("a.json", &long(40));
    let told = place.run(&["post-train", "a.json", "--until", "7"]).done().out;
    assert!(told.contains("step 7 of 40: the same command goes on from there"), "{told}");
    let told = place.run(&["status", "runs/run-a"]).done().out;
    assert!(told.contains("7 of 40") && told.contains("stopped; the same command goes on"), "{told}");
    let told = place.run(&["post-train", "a.json"]).done().out;
    assert!(told.contains("\n33 steps in "), "{told}");
    let told = place.run(&["runs"]).done().out;
    assert!(told.contains("run-a/post_train") && told.contains("finished"), "{told}");
    assert_eq!(place.run(&["post-train", "a.json", "--until", "soon"]).code, Some(2));
}

#[test]
fn other_devices_than_before_are_said() {
    let place = Place::new();
    place.write("a.json", &long(40));
    let run = |devices: &str, until: &str| {
        place.run(&["post-train", "a.json", "--until", until, "--set", &format!("devices={devices}")]).done().err
    };
    let both = r#"["cpu","cpu"]"#;
    assert!(!run(both, "3").contains("warning") && !run(both, "5").contains("warning"));
    let told = run(r#"["cpu"]"#, "7");
    let says = "trained on Flex(Cpu), Flex(Cpu) up to step 5, on Flex(Cpu) from there: the same up to rounding";
    assert!(told.contains(says), "{told}");
}

#[test]
fn status_knows_what_the_next_call_would_find() {
    let place = Place::new();
    place.write("a.json", &long(40));
    for until in ["7", "9"] {
        place.run(&["post-train", "a.json", "--until", until]).done();
    }
    let error = place.run(&["sample", "runs/run-a"]).failed();
    assert!(error.contains("its training is at step 9 of 40; the command that began it goes on"), "{error}");
    let status = || place.run(&["status", "runs/run-a"]).done().out;
    assert!(status().contains("9 of 40") && status().contains("stopped; the same command goes on\n"), "{}", status());
    let spoil = |step: usize| {
        let file = place.path(&format!("runs/run-a/post_train/checkpoints/step-{step:08}/model.bpk"));
        let mut bytes = std::fs::read(&file).unwrap();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    };
    spoil(9);
    assert!(status().contains("7 of 40") && status().contains("goes on from step 7, past "), "{}", status());
    // A configuration that nobody can read is met before any checkpoint.
    let file = place.path("runs/run-a/config.json");
    let config = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{").unwrap();
    assert!(status().contains("cannot go on: runs/run-a/config.json: is not JSON"), "{}", status());
    place.run(&["post-train", "a.json"]).failed();
    std::fs::write(&file, config).unwrap();
    spoil(7);
    let told = status();
    assert!(told.contains("cannot go on: ") && told.matches("the checksum is not the one").count() == 2, "{told}");
    let ran = place.run(&["post-train", "a.json"]);
    assert!(ran.code == Some(1) && ran.err.contains("every checkpoint is damaged"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn runs_are_listed_once_whatever_links_lead_to_them() {
    let place = Place::new();
    place.write("a.json", &long(40));
    place.run(&["post-train", "a.json", "--until", "2"]).done();
    std::os::unix::fs::symlink(place.path("runs"), place.path("runs/run-a/again")).unwrap();
    std::fs::rename(place.path("runs/run-a"), place.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("runs/a\u{1b}[2Jb")).unwrap();
    let told = place.run(&["runs"]).done().out;
    // The head, the pretraining and the post-training.
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains("a\u{FFFD}[2Jb/post_train"), "{told}");
}

#[test]
fn a_folder_that_is_in_use_is_refused_by_name() {
    let place = Place::new();
    place.write("a.json", &long(100_000));
    let mut child = place.start_heard(&["post-train", "a.json"]);
    wait_for(&mut child, "a step", is_training(&place, "runs/run-a/post_train"));
    let error = place.run(&["post-train", "a.json"]).failed();
    assert!(error.contains(&format!("runs/run-a: in use by process {} on ", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn two_experiments_share_one_pretraining_and_both_end_well() {
    let place = Place::new();
    for (name, gamma) in [("a.json", 0.1), ("b.json", 0.2)] {
        let mut config = photos();
        config["start"]["steps"] = 300.into();
        config["start"]["steps_per_epoch"] = 100.into();
        config["post_train"]["strategy"]["gamma"] = gamma.into();
        place.write(name, &config);
    }
    let children = ["a.json", "b.json"].map(|file| place.start(&["post-train", file]));
    for child in children {
        let (code, said) = ended(child);
        assert_eq!(code, Some(0), "{said}");
    }
    place.has("runs/run-a/post_train", &["ema.bpk"]);
    place.has("runs/run-b/post_train", &["ema.bpk"]);
}
