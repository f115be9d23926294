use super::{MODELS, config, shapes};
use crate::golden_support::official_shapes;
use crate::json;
use burn_mixflow::models::mmdit::{CHECKPOINT_PREFIX, MmditConfig};
use serde_json::Value;

/// The sizes that the official constructor was given.
fn constructor(model: &str) -> MmditConfig {
    let keys = &json("manifest.json")["systems"]["sd35"][format!("config_sd35{model}")];
    let number = |key: &str| keys[key].as_u64().unwrap_or_else(|| panic!("{key}")) as usize;
    let context = &keys["context_embedder_config"]["params"];
    MmditConfig {
        patch_size: number("patch_size"),
        in_channels: number("in_channels"),
        depth: number("depth"),
        pos_embed_max_size: number("pos_embed_max_size"),
        pooled_width: keys["adm_in_channels"].as_u64().map(|width| width as usize),
        context_width: context["in_features"].as_u64().expect("a width") as usize,
        mlp_ratio: keys["mlp_ratio"].as_f64().unwrap_or(4.0),
        dual_attention: serde_json::from_value(keys["x_block_self_attn_layers"].clone()).expect("blocks"),
        qk_norm: keys["qk_norm"] == Value::from("rms"),
        ..MmditConfig::default()
    }
}

#[test]
fn sizes_are_found_in_the_small_files() {
    for model in MODELS {
        let found = config(model);
        let expected = constructor(model);
        assert_eq!(found, MmditConfig { input_size: found.input_size, ..expected }, "{model}");
        let mut names: Vec<_> = found.parameters();
        names.sort();
        let stored = shapes(model).into_iter();
        let stored: Vec<_> = stored.map(|(name, s)| (name[CHECKPOINT_PREFIX.len()..].to_string(), s)).collect();
        assert_eq!(names, stored, "{model}");
    }
}

#[test]
fn names_and_shapes_of_the_full_models() {
    for name in ["sd3.5-medium", "sd3.5-large"] {
        let config = MmditConfig::named(name).expect(name);
        let official = official_shapes(&format!("shapes/{}.json", name.replace('-', "_")));
        let mut found = config.parameters();
        found.sort();
        assert_eq!(found, official, "{name}");
        let derived = MmditConfig::from_shapes(&official.into_iter().collect()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(derived, config, "{name}");
    }
}

#[test]
fn parameter_counts() {
    let manifest = json("manifest.json");
    let table = manifest["params_flops"]["sd35"].as_object().expect("a table");
    assert!(table.len() >= 3);
    for (label, row) in table {
        let config = MmditConfig::named(&label.replace('_', "-")).expect(label);
        let parameters = config.parameters();
        let positions: usize = parameters[0].1.iter().product();
        assert_eq!(Some(config.parameter_count() as u64), row["params"].as_u64(), "{label}");
        assert_eq!(Some(positions as u64), row["buffers_pos_embed"].as_u64(), "{label}");
        assert_eq!(Some(parameters.len() as u64), row["n_state"].as_u64(), "{label}");
    }
}
