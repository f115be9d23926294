//! SiT: network, positions, parameter counts, checkpoints, training steps, samplers and compared methods.
mod baselines;
#[cfg(feature = "pytorch")]
mod checkpoint;
mod forward;
mod objective;
mod ode;
mod sde;
mod sizes;
#[cfg(feature = "pytorch")]
mod steps;
mod training;
mod weights;

use crate::golden_support::init_and_import;
use crate::{Arrays, json};
use burn::tensor::Device;
use burn_mixflow::models::sit::{OFFICIAL_NAMES, Sit, SitConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, WeightSource};

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
    init_and_import(&fresh, file, &options, NAMES)
}

/// The parameters as an exported file holds them.
fn exported(sit: &Sit) -> Arrays {
    crate::golden_support::exported(sit, NAMES)
}
