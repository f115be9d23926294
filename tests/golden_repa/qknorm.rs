use super::config;
use crate::Arrays;
use burn_mixflow::models::repa::{OFFICIAL_NAMES, RepaConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, import};
use std::collections::BTreeMap;

const FILE: &str = "repa/qknorm.safetensors";

/// The file holds the weights below `model.`, inputs and outputs beside them.
fn weights(golden: &Arrays) -> BTreeMap<String, Vec<f64>> {
    let below = golden.0.iter().filter_map(|(name, a)| Some((name.strip_prefix("model.")?, a)));
    below.map(|(name, a)| (name.to_string(), a.values.clone())).collect()
}

fn small() -> RepaConfig {
    config("repa_qknorm", "config_repa_qknorm")
}

#[test]
fn output_and_projected_tokens_of_two_encoders() {
    let device = crate::device::device();
    let golden = Arrays::golden(FILE);
    let tops = ["pos_embed", "x_embedder", "t_embedder", "y_embedder", "blocks", "projectors", "final_layer"];
    let below: Vec<String> = tops.iter().map(|top| format!("model.{top}")).collect();
    let mut names = OFFICIAL_NAMES.to_vec();
    names.extend(tops.iter().zip(&below).map(|(top, below)| (*top, below.as_str())));
    let beside = golden.0.keys().filter(|name| !name.starts_with("model.")).cloned().collect();
    let options = ImportOptions { allow_unused: beside, ..Default::default() };
    let fresh = small().init(&device).expect("a valid configuration");
    let (repa, report) = import(&fresh, &crate::path(FILE), &options, KeyMap(&names)).unwrap_or_else(|e| panic!("{e}"));
    assert!(small().qk_norm && report.missing.is_empty());

    let (x, t) = (golden.tensor::<4>("x", &device), golden.tensor::<1>("t", &device));
    let (velocity, projected) = repa.forward(x, t, golden.labels("y", &device));
    golden.check("out", velocity);
    assert_eq!(projected.len(), small().z_dims.len());
    for (j, tokens) in projected.into_iter().enumerate() {
        golden.check(&format!("zs.{j}"), tokens);
    }

    let exported = super::exported(&repa).0.into_iter().map(|(name, a)| (name, a.values)).collect();
    assert_eq!(weights(&golden), exported);
}

#[test]
fn names_and_shapes() {
    let golden = Arrays::golden(FILE);
    let mut found = small().parameters();
    found.sort();
    let below = golden.0.into_iter().filter_map(|(name, a)| Some((name.strip_prefix("model.")?.to_string(), a.shape)));
    assert_eq!(found, below.collect::<Vec<_>>());
}
