//! The program at work in a folder, whole or killed, with small networks whose weights are a formula of their names.
#![allow(dead_code, reason = "each test uses its part")]
use crate::formula;
use burn_mixflow::models::encoders::autoencoder_kl::AutoencoderKlConfig;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A file of this crate.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// An autoencoder of eight pixels a latent, as small as can be.
pub fn autoencoder() -> AutoencoderKlConfig {
    AutoencoderKlConfig {
        block_out_channels: vec![32, 32, 32, 32],
        layers_per_block: 1,
        norm_num_groups: 8,
        ..AutoencoderKlConfig::sd1()
    }
}

/// Writes a file of weights, each `factor` of its name times that of the formula; tables are those of which `is_table`.
pub fn write_weights(
    file: &Path,
    tensors: Vec<(String, Vec<usize>)>,
    is_table: impl Fn(&str) -> bool,
    factor: impl Fn(&str) -> f32,
) {
    let of = |(name, shape): (String, Vec<usize>)| {
        let values = formula::weight(&name, &shape, is_table(&name)).into_iter();
        let bytes: Vec<u8> = values.flat_map(|value| (factor(&name) * value).to_le_bytes()).collect();
        (name, shape, bytes)
    };
    let made: Vec<_> = tensors.into_iter().map(of).collect();
    let views = made
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes")));
    safetensors::serialize_to_file(views, None, file).unwrap();
}

/// The program, not yet started.
pub fn mixflow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixflow"));
    command.current_dir(folder).args(arguments);
    command
}

/// Runs the program to its good end.
#[track_caller]
pub fn done(folder: &Path, arguments: &[&str]) -> Output {
    let output = mixflow(folder, arguments).output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    output
}

/// What a program that must fail says.
#[track_caller]
pub fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = mixflow(folder, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    said
}

/// Kills the program once `reached`; whether it was still at work.
pub fn killed(folder: &Path, arguments: &[&str], reached: impl Fn(&Path) -> bool) -> bool {
    let mut child = mixflow(folder, arguments).spawn().unwrap();
    let began = Instant::now();
    while !reached(folder) && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(120), "{arguments:?}: nothing to kill after two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

/// Every file below a folder, with its bytes; without locks.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(one) = folders.pop() {
        for entry in std::fs::read_dir(&one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
            }
        }
    }
    found.retain(|path, _| !path.to_string_lossy().contains("lock"));
    found
}

/// How many files below a folder, which may not be there yet, end so.
pub fn count(folder: &Path, end: &str) -> usize {
    let (mut found, mut folders) = (0, vec![folder.to_path_buf()]);
    while let Some(one) = folders.pop() {
        // Files come and go while the program works.
        for entry in std::fs::read_dir(&one).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found += usize::from(path.to_string_lossy().ends_with(end)),
            }
        }
    }
    found
}

/// Fails unless both folders hold the same files.
#[track_caller]
pub fn same(expected: &Path, found: &Path) {
    let (expected, found) = (files(expected), files(found));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    let other: Vec<_> = expected.iter().filter(|(path, bytes)| found[*path] != **bytes).map(|(path, _)| path).collect();
    assert!(other.is_empty(), "{other:?}");
}
