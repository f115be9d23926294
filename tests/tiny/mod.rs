//! The shipped experiment on a system's tiny checkpoint.
use burn_mixflow::Result;
use burn_mixflow::experiment::Experiment;
use burn_mixflow::experiment::config::ExperimentConfig;
use serde_json::{Value, json};
use std::path::Path;

/// `configs/SYSTEM/tiny.json` on a device, eight steps of it unless `changes` say otherwise.
pub fn opened(system: &str, on: &str, changes: Value) -> Result<Experiment> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut json: Value =
        serde_json::from_slice(&std::fs::read(root.join("configs").join(system).join("tiny.json")).unwrap()).unwrap();
    json_patch::merge(&mut json, &json!({"devices": [on], "post_train": {"steps": 8, "steps_per_epoch": 4}}));
    json_patch::merge(&mut json, &changes);
    json.as_object_mut().unwrap().remove("$schema");
    let config = ExperimentConfig::parse(&json.to_string()).unwrap();
    Experiment::open(config, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("on_device"))
}
