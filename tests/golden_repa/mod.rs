//! REPA against its official code: network, alignment, losses, parameter counts, checkpoints and training steps.
mod forward;
mod losses;
mod mixflow;
mod qknorm;
mod samplers;
mod sizes;
#[cfg(feature = "pytorch")]
mod steps;
mod weights;

use crate::golden_support::init_and_import;
use crate::{Arrays, close, json};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn_mixflow::models::repa::{OFFICIAL_NAMES, Repa, RepaCondition, RepaConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, WeightSource};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, PredictionKind, TrainingInterval};
use burn_mixflow::train::{LossWeight, Objective, TargetTime, global_norm};
use serde_json::Value;

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

/// Losses and gradient norms relative to the largest entry.
const LOSS_TOLERANCE: f64 = 1e-4;

/// The sizes recorded under `key` in the manifest, less the official keys that do not change the numbers.
fn config(system: &str, key: &str) -> RepaConfig {
    let mut recorded = json("manifest.json")["systems"][system][key].clone();
    let keys = recorded.as_object_mut().expect(key);
    for other in ["use_cfg", "fused_attn"] {
        keys.remove(other);
    }
    serde_json::from_value(recorded).expect(key)
}

fn small() -> RepaConfig {
    config("repa", "config_repa")
}

/// The small network with the weights of `file`.
fn network(file: &str, source: WeightSource, device: &Device) -> Repa {
    let options = ImportOptions { source, ..Default::default() };
    init_and_import(&small().init(device).expect("a valid configuration"), file, &options, NAMES)
}

/// The further numbers that the manifest has for a file.
fn extra(file: &str) -> Value {
    json("manifest.json")["systems"]["repa"]["files"][file]["extra"].clone()
}

fn exported(repa: &Repa) -> Arrays {
    crate::golden_support::exported(repa, NAMES)
}

fn objective(path: PathConfig) -> Objective {
    let prediction = PredictionKind::Velocity;
    let interval = TrainingInterval::training(path, prediction);
    let (target, weight) = (TargetTime::Slowed, LossWeight::Uniform);
    Objective { path: path.build(), prediction, target, weight, interval }
}

/// A recorded reversed time of each sample as this crate's.
fn times(golden: &Arrays, name: &str) -> Vec<f32> {
    golden.get(name).values.iter().map(|s| 1.0 - *s as f32).collect()
}

fn told(times: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_floats(times, device)
}

/// Labels and features, with the labels dropped whose draw is below the probability.
fn condition(
    repa: &Repa,
    golden: &Arrays,
    labels: &str,
    features: &[String],
    draws: &str,
    device: &Device,
) -> RepaCondition {
    let features = features.iter().map(|name| golden.tensor(name, device)).collect();
    let whole = small().condition(golden.labels(labels, device), features).expect("features of the encoders");
    let probability = f64::from(small().class_dropout_prob as f32);
    let marks: Vec<bool> = golden.get(draws).values.iter().map(|u| *u < probability).collect();
    repa.drop_condition(&whole, &marks).expect("a null label")
}

fn value(loss: &Tensor<1>) -> f64 {
    loss.to_data().iter::<f64>().next().expect("a value")
}

/// Compares the norm of every gradient and of all of them with the recorded ones.
fn check_norms(what: &str, repa: &Repa, grads: &GradientsParams, recorded: &Value) {
    let total = global_norm(repa, grads).expect("gradients");
    let expected = recorded["grad_total"].as_f64().expect("a norm");
    close(&format!("{what}: all gradients"), &[value(&total)], &[expected], LOSS_TOLERANCE);
    let found = crate::golden_support::gradients(repa, grads, NAMES).0;
    let norms = recorded["grad_norms"].as_object().expect("norms");
    assert_eq!(norms.len(), found.len());
    for (name, expected) in norms {
        let norm = found[name].values.iter().map(|g| g * g).sum::<f64>().sqrt();
        // Frozen parameters have none.
        let expected = expected.as_f64().unwrap_or(0.0);
        close(&format!("{what}: {name}"), &[norm], &[expected], LOSS_TOLERANCE);
    }
}
