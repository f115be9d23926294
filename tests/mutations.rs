//! Every key of every shipped configuration, spoilt: an error that names the file, the key and the value, or a run that is
//! legal. Nothing panics, nothing aborts, nothing takes long.
mod shipped;

use burn::tensor::Device;
use burn_mixflow::experiment::Experiment;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::NetworkConfig;
use serde_json::{Value, json};
use shipped::shipped;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// What a value is replaced by, as it is written; the last few are no JSON values.
const SPOILT: [&str; 28] = [
    "null",
    "true",
    "-1",
    "0",
    "1",
    "-0",
    "1.5",
    "1e12",
    "1000000000000",
    "4611686018427387904",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "1e308",
    "1e-308",
    "\"\"",
    "\"x\"",
    "\"12\"",
    "\"NaN\"",
    "[]",
    "[null]",
    "[[[]]]",
    "{}",
    "{\"a\": {\"b\": 1}}",
    "1e400",
    "NaN",
    "[1, 2",
];

/// How long one of them may take. The slowest opens pictures and makes a network.
const LONGEST: Duration = Duration::from_secs(60);

/// Networks up to this size are made, too.
const SMALL: u128 = 2_000_000;

/// Stands where the spoilt text goes, while the rest is JSON.
const MARK: &str = "\u{1}spoilt";

/// One way to spoil a configuration.
#[derive(Debug, Clone)]
struct Mutation {
    /// The shipped file.
    file: PathBuf,
    /// The key.
    key: String,
    /// What was done to it.
    what: String,
    /// The text that comes of it.
    text: String,
}

/// `/a/0/b` as `a[0].b`.
fn path_of(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => part.into(),
        Err(_) => format!("{path}.{part}"),
    })
}

/// The places of all values below `value`.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(keys) => keys.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let place = format!("{at}/{key}");
        places(value, &place, found);
        found.push(place);
    }
}

/// The place above, and the key within.
fn split(pointer: &str) -> (&str, &str) {
    pointer.rsplit_once('/').unwrap()
}

/// Every mutation of a file with all of its defaults written out.
fn mutations(file: &Path) -> Vec<Mutation> {
    let whole = ExperimentConfig::read(file).unwrap().to_json().unwrap();
    let (mut pointers, mut found) = (Vec::new(), Vec::new());
    places(&whole, "", &mut pointers);
    let mut add = |pointer: &str, what: &str, text: String| {
        found.push(Mutation { file: file.into(), key: path_of(pointer), what: what.into(), text });
    };
    for pointer in &pointers {
        let mut marked = whole.clone();
        *marked.pointer_mut(pointer).unwrap() = MARK.into();
        let marked = marked.to_string();
        let mark = json!(MARK).to_string();
        for spoilt in SPOILT {
            add(pointer, spoilt, marked.replace(&mark, spoilt));
        }
        let (above, key) = split(pointer);
        let mut other = whole.clone();
        let Some(Value::Object(keys)) = other.pointer_mut(above) else { continue };
        let value = keys.remove(key).unwrap();
        add(pointer, "removed", other.to_string());
        let Some(Value::Object(keys)) = other.pointer_mut(above) else { unreachable!() };
        keys.insert(format!("{key}x"), value.clone());
        add(&format!("{pointer}x"), "misspelt", other.to_string());
        let twice = format!("{}: {}, {}:", json!(key), value, json!(key));
        let mut doubled = whole.clone();
        let Some(Value::Object(keys)) = doubled.pointer_mut(above) else { unreachable!() };
        keys.remove(key);
        keys.insert(MARK.into(), value);
        add(pointer, "twice", doubled.to_string().replace(&format!("{mark}:"), &twice));
    }
    found
}

/// What became of a mutation: an error, or that it is legal.
fn outcome(mutation: &Mutation, opened: bool) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    // It stays behind if the process aborts, and then tells which it was.
    let file = folder.path().join("spoilt.json");
    std::fs::write(&file, &mutation.text).unwrap();
    let (done, waited) = mpsc::channel();
    let (read, cache) = (file.clone(), folder.path().join("cache"));
    let judged = std::thread::spawn(move || {
        let config = ExperimentConfig::read(&read);
        let of_file = |error| ExperimentConfig::of_file(error, &read, &[]);
        let all = config.and_then(|config| if opened { made(&config, &cache).map_err(of_file) } else { Ok(()) });
        let _ = done.send(all.err().map(|error| error.to_string()));
    });
    match waited.recv_timeout(LONGEST) {
        Ok(outcome) => outcome.map(|text| text.replace(&folder.path().display().to_string(), "")),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("takes more than {LONGEST:?}: {mutation:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let why = judged.join().unwrap_err();
            panic!("{:?}: {mutation:?}", why.downcast_ref::<String>());
        }
    }
}

/// Opens an experiment, and makes its network if that is small.
fn made(config: &ExperimentConfig, cache: &Path) -> burn_mixflow::Result<()> {
    Experiment::open(config.clone(), cache)?;
    let small = |network: &NetworkConfig| network.parameter_count().all <= SMALL;
    if small(&config.network) {
        config.network.init(0, &Device::flex())?;
    }
    Ok(())
}

/// What is missing in the error of a mutation.
fn unnamed(mutation: &Mutation, error: &str) -> Option<String> {
    let file = mutation.file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
    let said = format!("{file}: {} = {}: {error}", mutation.key, mutation.what);
    let (above, last) = mutation.key.rsplit_once(['.', '[']).unwrap_or(("", &mutation.key));
    // A list or an object is judged as a whole, too.
    let named = error.contains(&mutation.key) || error.contains(&format!("{above}.{}", last.trim_end_matches(']')));
    let whole = !above.is_empty()
        && [above, above.split('[').next().unwrap()]
            .iter()
            .any(|above| error.lines().any(|line| line.trim_start().starts_with(&format!("{above} "))));
    // What is no JSON is named by the place that was being read, or the key that stands twice in it.
    let twice = mutation.what == "twice" && error.contains(&format!("{above}: the key {}", json!(last)));
    let torn = mutation.what == "[1, 2" && error.contains(&format!("is not JSON: {above}: expected"));
    let file = error.contains("spoilt.json");
    (!(file && (named || whole || twice || torn))).then_some(said)
}

/// Whether a shipped file can be opened here: some name data that nobody ships.
fn opens(file: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    ExperimentConfig::read(file).and_then(|config| Experiment::open(config, folder.path())).is_ok()
}

/// Judges mutations, of which every `opened`th that can be read is opened.
fn judge(mutations: &[Mutation], opened: usize) {
    let (mut wrong, mut legal, mut known) = (Vec::new(), 0, BTreeMap::new());
    for (i, mutation) in mutations.iter().enumerate() {
        let open = i % opened == 0 && *known.entry(&mutation.file).or_insert_with(|| opens(&mutation.file));
        match outcome(mutation, open) {
            Some(error) => wrong.extend(unnamed(mutation, &error)),
            None => legal += 1,
        }
    }
    println!("{} mutations, {legal} of them legal", mutations.len());
    assert!(wrong.is_empty(), "{} errors do not name the key:\n{}", wrong.len(), wrong.join("\n"));
    assert!(legal > 0 && legal < mutations.len() / 2, "{legal} of {} are legal", mutations.len());
}

fn all() -> Vec<Mutation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    shipped(&folder).iter().flat_map(|file| mutations(file)).collect()
}

/// `count` of all mutations, the same for the same seed.
fn some(count: usize, seed: u64) -> Vec<Mutation> {
    let (all, mut state) = (all(), seed);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..count).map(|_| all[next() % all.len()].clone()).collect()
}

#[test]
fn a_spoilt_configuration_is_named_or_legal() {
    judge(&some(400, 1), 8);
}

/// For the nightly run: `cargo test --release --test mutations -- --ignored`.
#[test]
#[ignore = "thousands of configurations; .ci/nightly runs it"]
fn thousands_of_spoilt_configurations_are_named_or_legal() {
    judge(&some(4000, 2), 1);
}

/// What is spoilt on the command line, through the whole program.
#[test]
fn the_program_names_the_file_and_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    let config = json!({"data": {"kind": "digits"}, "network": {"kind": "residual_mlp", "size": 8, "num_classes": 10}});
    std::fs::write(&file, config.to_string()).unwrap();
    for (setting, expected) in [
        ("network.width=1000000000000", "network.width = 1000000000000: the network would have"),
        ("network.width=1e12", "network.width = 1000000000000.0: must be a whole number, written in digits alone"),
        ("network.width=100000000", "network.width = 100000000: the network would have"),
        ("network.expansion=4611686018427387904", "network.expansion = 4611686018427387904: the network would have"),
        ("network.embedding=9000000000000000000", "network.embedding = 9000000000000000000: the network would have"),
        ("network.depth=1000000000000", "network.depth = 1000000000000: must be at most 10000"),
        ("network.width=null", "network.width = null: must be a whole number"),
        ("compare.samples=1000000000000", "compare.samples = 1000000000000: must be at most 1000000000"),
        ("compare.evaluations=[1000000000000]", "compare.evaluations = [1000000000000]: must each be in 1..=1000000"),
        ("sample.count=1000000000000", "sample.count = 1000000000000: must be in 1..=1000000000"),
        ("sample.count=1000000000", "sample.count = 1000000000: the samples take about 256 GB, this machine has"),
        ("slow_flow.resamples=100000000000", "slow_flow.resamples = 100000000000: must be in 20..=1000000"),
        ("post_train.steps=1000000000000", "post_train.steps = 1000000000000: must be at most 1000000000"),
        (
            "post_train.strategy={\"kind\": \"mixflow\", \"gamma\": []}",
            "post_train.strategy.gamma = []: must be a number",
        ),
        ("post_train={\"steps\": 1, \"steps\": 2}", "the value is not JSON: the key \"steps\" stands twice"),
    ] {
        for command in ["check", "post-train"] {
            let mut program = Command::new(env!("CARGO_BIN_EXE_mixflow"));
            program.current_dir(folder.path()).args([command, "a.json", "--set", setting]);
            let output = program.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{setting}: {error}");
            assert!(error.starts_with("error: a.json: "), "{setting}: {error}");
            assert!(error.contains(expected), "{setting}: {expected:?} is not in {error}");
            let named = error.contains(&format!("--set {setting}"));
            assert!(named && !folder.path().join("runs/run-a").exists(), "{setting}: {error}");
        }
    }
}
