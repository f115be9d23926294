//! SiT: network, positions, parameter counts, checkpoints and training steps.
#[cfg(feature = "pytorch")]
mod checkpoint;
mod forward;
mod objective;
mod sizes;
#[cfg(feature = "pytorch")]
mod steps;
mod training;
mod weights;

use crate::{Arrays, json, path};
use burn::module::Module;
use burn::tensor::Device;
use burn_mixflow::checkpoint::weights::{ImportOptions, KeyMap, WeightSource, export_safetensors, import};
use burn_mixflow::models::sit::{OFFICIAL_NAMES, Sit, SitConfig};

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

/// The sizes recorded under `key` in the manifest.
fn config(key: &str) -> SitConfig {
    let manifest = json("manifest.json");
    serde_json::from_value(manifest["systems"]["sit"][key].clone()).expect(key)
}

/// The network of the sizes `key` with the weights of `file`.
fn network(key: &str, file: &str, source: WeightSource, device: &Device) -> Sit {
    let options = ImportOptions { source, ..Default::default() };
    let fresh = config(key).init(device).expect("a valid configuration");
    let (sit, report) = import(&fresh, &path(file), &options, NAMES).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(report.loaded, config(key).parameters().len());
    sit
}

/// The parameters of a module as an exported file holds them.
fn exported<M: Module>(module: &M) -> Arrays {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("weights.safetensors");
    export_safetensors(module, &file, NAMES).unwrap_or_else(|e| panic!("{e}"));
    Arrays::read(&file)
}
