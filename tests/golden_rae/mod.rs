//! RAE's DiT^DH: network, training times, losses, optimizer steps, checkpoints and the decoder.
mod decoder;
mod forward;
mod losses;
mod mixflow;
mod paths;
mod samplers;
mod sizes;
#[cfg(feature = "pytorch")]
mod steps;
mod weights;

use crate::golden_support::init_and_import;
use crate::{Arrays, close, json};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use burn_mixflow::models::rae::{OFFICIAL_NAMES, Rae, RaeConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, WeightSource};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval, reversed};
use burn_mixflow::train::{LossWeight, Objective, TargetTime};
use serde_json::Value;

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

/// Losses and gradient norms relative to the largest entry.
const LOSS_TOLERANCE: f64 = 1e-4;

/// What the manifest says about RAE.
fn manifest() -> Value {
    json("manifest.json")["systems"]["rae"].clone()
}

/// The further numbers of one golden file.
fn extra(file: &str) -> Value {
    manifest()["files"][file]["extra"].clone()
}

/// The sizes recorded under `key` in the manifest.
fn config(key: &str) -> RaeConfig {
    serde_json::from_value(manifest()[key].clone()).expect(key)
}

/// The network of the sizes `key` with the weights of `file`.
fn network(key: &str, file: &str, source: WeightSource, device: &Device) -> Rae {
    let options = ImportOptions { source, ..Default::default() };
    let fresh = config(key).init(device).expect("a valid configuration");
    init_and_import(&fresh, file, &options, NAMES)
}

/// The network that most files are about.
fn rae(device: &Device) -> Rae {
    network("config_rae", "rae/model.safetensors", WeightSource::Auto, device)
}

/// The parameters as an exported file holds them.
fn exported(rae: &Rae) -> Arrays {
    crate::golden_support::exported(rae, NAMES)
}

/// The official output at the official time through this crate's time.
fn output(rae: &Rae, noisy: Tensor<4>, time: Tensor<1>, labels: &Tensor<1, Int>) -> Tensor<4> {
    rae.predict(noisy, reversed::time(time), labels).output.neg()
}

/// This crate's times of the official ones.
fn times(golden: &Arrays, name: &str) -> Vec<f32> {
    golden.get(name).values.iter().map(|s| (1.0 - s) as f32).collect()
}

/// Labels with those of a draw below the probability replaced by the null label.
fn dropped(rae: &Rae, golden: &Arrays, labels: &str, draws: &str, device: &Device) -> Tensor<1, Int> {
    let probability = f64::from(config("config_rae").class_dropout_prob as f32);
    let marks: Vec<bool> = golden.get(draws).values.iter().map(|u| *u < probability).collect();
    rae.drop_condition(&golden.labels(labels, device), &marks).expect("a null label")
}

/// The regression of the velocity on a path.
fn objective(path: PathConfig, target: TargetTime) -> Objective {
    let prediction = PredictionKind::Velocity;
    let interval = TrainingInterval::training(path, prediction);
    Objective { path: path.build(), prediction, target, weight: LossWeight::Uniform, interval }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Compares the norm of the gradient of every parameter with the recorded one.
fn check_gradients(what: &str, rae: &Rae, grads: &GradientsParams, recorded: &Value) {
    let found = crate::golden_support::gradients(rae, grads, NAMES);
    let recorded = recorded.as_object().expect("norms");
    let tables = found.0.keys().filter(|name| name.contains("_feat_rope.")).count();
    assert_eq!(recorded.len(), found.0.len() - tables, "{what}");
    for (name, expected) in recorded {
        let norm = found.get(name).values.iter().map(|g| g * g).sum::<f64>().sqrt();
        close(&format!("{what}.{name}"), &[norm], &[expected.as_f64().expect("a norm")], LOSS_TOLERANCE);
    }
}
