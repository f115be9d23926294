//! Stable Diffusion 3.5 as its official code computes it: network, sizes, losses and weights.
mod forward;
mod loss;
mod sampling;
mod sizes;
mod weights;

use crate::golden_support::init_and_import;
use crate::{Arrays, json};
use burn::tensor::Device;
use burn_mixflow::models::mmdit::{Mmdit, MmditConfig, OFFICIAL_NAMES, TextCondition};
use burn_mixflow::models::weights::{ImportOptions, KeyMap};
use serde_json::Value;
use std::collections::BTreeMap;

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

/// The two small models: with dual attention and without.
const MODELS: [&str; 2] = ["A", "B"];

/// Where the names in released files differ, their prefix included.
fn prefixed_names() -> Vec<(&'static str, &'static str)> {
    let mut names = OFFICIAL_NAMES.to_vec();
    names.extend([
        ("pos_embed", "model.diffusion_model.pos_embed"),
        ("x_embedder", "model.diffusion_model.x_embedder"),
        ("t_embedder", "model.diffusion_model.t_embedder"),
        ("y_embedder", "model.diffusion_model.y_embedder"),
        ("context_embedder", "model.diffusion_model.context_embedder"),
        ("joint_blocks", "model.diffusion_model.joint_blocks"),
        ("final_layer", "model.diffusion_model.final_layer"),
    ]);
    names
}

fn file(model: &str) -> String {
    format!("sd35/model{model}.safetensors")
}

/// Names and shapes of a model file.
fn shapes(model: &str) -> BTreeMap<String, Vec<usize>> {
    Arrays::golden(&file(model)).0.into_iter().map(|(name, array)| (name, array.shape)).collect()
}

/// The sizes found in a model file.
fn config(model: &str) -> MmditConfig {
    MmditConfig::from_shapes(&shapes(model)).unwrap_or_else(|e| panic!("{model}: {e}"))
}

/// The network with the weights of a model file.
fn network(model: &str, device: &Device) -> Mmdit {
    let fresh = config(model).init(device).expect("a valid configuration");
    init_and_import(&fresh, &file(model), &ImportOptions::default(), KeyMap(&prefixed_names()))
}

/// The prompts of a file of recorded arrays.
fn prompts(golden: &Arrays, device: &Device) -> TextCondition {
    TextCondition::new(golden.tensor("context", device), Some(golden.tensor("y", device)))
}

/// The scalars recorded beside the arrays of a file.
fn extra(file: &str) -> Value {
    json("manifest.json")["systems"]["sd35"]["files"][file]["extra"].clone()
}
