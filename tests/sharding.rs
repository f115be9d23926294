//! Weights, average and moments spread over devices: the same training to the last bit. One CPU stands for all devices here.
mod same_training;

use same_training::is_the_same_training;
use serde_json::{Value, json};

fn so_it_is(system: &str, devices: usize, stage: Value) {
    let changes = json!({"devices": vec!["cpu"; devices], "post_train": stage});
    is_the_same_training(system, &changes, &json!({"post_train": {"sharding": "optimizer"}}));
}

#[test]
fn every_system_learns_the_same_on_two_devices() {
    for system in ["sit", "repa", "rae", "sd35"] {
        so_it_is(system, 2, json!({}));
    }
}

#[test]
fn in_bf16_too_though_its_copies_and_their_gradients_are_halves() {
    for system in ["sit", "rae", "sd35"] {
        so_it_is(system, 2, json!({"precision": "bf16"}));
    }
}

#[test]
fn so_do_accumulated_passes_adapters_and_recomputed_blocks() {
    so_it_is("sit", 2, json!({"accumulation": 2, "precision": "bf16"}));
    let adapter = json!({"kind": "lora", "rank": 2, "match": ["blocks"]});
    so_it_is("sit", 2, json!({"adapter": adapter}));
    so_it_is("rae", 2, json!({"checkpointing": "blocks"}));
    so_it_is("sit", 2, json!({"input": {"kind": "rollout", "steps": 1, "span": 0.5}}));
    so_it_is("sit", 1, json!({}));
}
