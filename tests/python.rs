//! Python, without this crate, finds the official names, shapes and layouts in what we export, and our numbers.
//!
//! Needs Python with `numpy` and `safetensors`; `MIXFLOW_PYTHON` names the interpreter.
use burn::tensor::{Device, Tensor};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::models::Network;
use burn_mixflow::models::layers::WeightInit;
use burn_mixflow::models::sit::{OFFICIAL_NAMES, SitBlock, SitConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, export_safetensors, import};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const MISSING_PACKAGE: i32 = 77;
const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);
const FILE: &str = "sit/model.safetensors";

fn golden(name: &str) -> PathBuf {
    let folder = std::env::var_os("MIXFLOW_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    folder.join(name)
}

fn config() -> SitConfig {
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(golden("manifest.json")).unwrap()).unwrap();
    serde_json::from_value(manifest["systems"]["sit"]["config_sit"].clone()).unwrap()
}

/// Past the test harness, which hides what a passing test prints.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: the export was not checked in Python: {why}");
}

/// Runs the script, or says loudly that it could not be.
fn check(arguments: &[&Path]) -> Option<std::process::Output> {
    let python = std::env::var("MIXFLOW_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_export.py");
    match Command::new(&python).arg(script).args(arguments).output() {
        Ok(output) if output.status.code() == Some(MISSING_PACKAGE) => {
            skipped(&format!("{python}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            None
        }
        Ok(output) => Some(output),
        Err(error) => {
            skipped(&format!("{python}: {error}"));
            None
        }
    }
}

/// The tensors of block `index` of the exported model, as a file of their own.
fn block_file(export: &Path, index: usize, target: &Path) {
    let bytes = std::fs::read(export).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let prefix = format!("blocks.{index}.");
    let inner = stored.iter().filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_string(), view)));
    safetensors::serialize_to_file(inner.collect::<Vec<_>>(), None, target).unwrap();
}

/// Runs every block on the same input and writes what came out.
fn write_numbers(config: &SitConfig, export: &Path, folder: &Path) -> PathBuf {
    let device = Device::default();
    let width = config.hidden_size;
    let random = |position: u64, shape: &[usize]| {
        let keys: Vec<_> = (0..2).map(|epoch| SampleKey { seed: 1, epoch, position }).collect();
        normal(&keys, Purpose::Data, shape)
    };
    let (input, condition) = (random(0, &[5, width]), random(1, &[width]));
    let mut arrays = vec![
        ("input".to_string(), vec![2, 5, width], input.iter::<f32>().collect::<Vec<_>>()),
        ("condition".to_string(), vec![2, width], condition.iter().collect()),
        ("heads".to_string(), vec![1], vec![config.num_heads as f32]),
    ];
    for index in 0..config.depth {
        let file = folder.join("block.safetensors");
        block_file(export, index, &file);
        let hidden = (width as f64 * config.mlp_ratio) as usize;
        let fresh = SitBlock::new(width, config.num_heads, hidden, &mut WeightInit::new(0, &device));
        let (block, _) = import(&fresh, &file, &ImportOptions::default(), NAMES).unwrap_or_else(|e| panic!("{e}"));
        let output = block.forward(
            Tensor::<3>::from_data(input.clone(), &device),
            Tensor::<2>::from_data(condition.clone(), &device),
        );
        arrays.push((format!("output.{index}"), vec![2, 5, width], output.into_data().iter().collect()));
    }
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = arrays.iter().zip(&bytes);
    let views = views.map(|((name, shape, _), b)| (name, TensorView::new(Dtype::F32, shape.clone(), b).unwrap()));
    let file = folder.join("numbers.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    file
}

#[test]
fn an_exported_sit_is_official_and_its_blocks_compute_the_same() {
    let config = config();
    let fresh = config.init(&Device::default()).unwrap();
    let (sit, _) = import(&fresh, &golden(FILE), &ImportOptions::default(), NAMES).unwrap_or_else(|e| panic!("{e}"));
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export.safetensors");
    export_safetensors(&sit, &export, NAMES).unwrap();
    let numbers = write_numbers(&config, &export, folder.path());
    let (manifest, official) = (golden("manifest.json"), golden(FILE));
    let run = |export: &Path| check(&[&manifest, Path::new(FILE), &official, export, &numbers]);
    let Some(output) = run(&export) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // A check that cannot fail checks nothing.
    let other = config.init_seeded(1, &Device::default()).unwrap();
    export_safetensors(&other, &export, NAMES).unwrap();
    let Some(output) = run(&export) else { return };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("other numbers") && complaint.contains("differs by"), "{complaint}");
}

#[test]
fn exports_of_the_other_systems_are_official() {
    for (system, file) in
        [("repa", "repa/model.safetensors"), ("rae", "rae/model.safetensors"), ("sd35", "sd35/modelA.safetensors")]
    {
        let sizes = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(system).join("tiny.json");
        let fresh = ExperimentConfig::read(&sizes).unwrap().network.init(0, &Device::default()).unwrap();
        let (network, _) = fresh.import(&golden(file), &ImportOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        let folder = tempfile::tempdir().unwrap();
        let export = folder.path().join("export.safetensors");
        let (manifest, official) = (golden("manifest.json"), golden(file));
        let run = |network: &Network| {
            network.export(&export).unwrap();
            check(&[&manifest, Path::new(file), &official, &export])
        };
        let Some(output) = run(&network) else { return };
        assert!(output.status.success(), "{system}: {}", String::from_utf8_lossy(&output.stderr));
        let Some(output) = run(&fresh) else { return };
        assert!(String::from_utf8_lossy(&output.stderr).contains("other numbers"), "{system}: nothing was compared");
    }
}
