use super::config;
use crate::{Arrays, json};
use burn_mixflow::models::sit::SitConfig;
use serde_json::Value;

#[test]
fn parameter_counts() {
    let manifest = json("manifest.json");
    let table = manifest["params_flops"]["sit"].as_object().expect("a table");
    let mut checked = 0;
    for (label, row) in table {
        let (name, variant) = label.split_once('@').expect(label);
        let mut config = SitConfig::named(name).expect(name);
        config.input_size = if variant.starts_with("512") { 64 } else { 32 };
        config.learn_sigma = !variant.contains("learn_sigma=False");
        let positions: usize = config.parameters()[0].1.iter().product();
        assert_eq!(Some(config.parameter_count() as u64), row["params"].as_u64(), "{label}");
        assert_eq!(Some((config.parameter_count() - positions) as u64), row["trainable"].as_u64(), "{label}");
        checked += 1;
    }
    assert_eq!(checked, 36);
}

#[test]
fn names_and_shapes_of_the_full_models() {
    for (file, name) in [("shapes/SiT-XL-2.json", "SiT-XL/2"), ("shapes/SiT-B-2.json", "SiT-B/2")] {
        let recorded = json(file);
        let entries = recorded["entries"].as_array().expect(file);
        let mut expected = Vec::new();
        let shape = |entry: &Value| serde_json::from_value::<Vec<usize>>(entry[1].clone()).expect(file);
        let pattern = |entry: &Value| entry[0].as_str().expect(file).to_string();
        let first_block = entries.iter().position(|e| !e[2].is_null()).expect(file);
        let end = entries.iter().rposition(|e| !e[2].is_null()).expect(file) + 1;
        expected.extend(entries[..first_block].iter().map(|e| (pattern(e), shape(e))));
        for block in 0..=entries[first_block][2][1].as_u64().expect(file) {
            let named = |e| (pattern(e).replace("{i}", &block.to_string()), shape(e));
            expected.extend(entries[first_block..end].iter().map(named));
        }
        expected.extend(entries[end..].iter().map(|e| (pattern(e), shape(e))));
        assert_eq!(SitConfig::named(name).expect(name).parameters(), expected);
        assert_eq!(Some(expected.len() as u64), recorded["n_tensors"].as_u64());
    }
}

#[test]
fn names_and_shapes_of_the_small_models() {
    for (key, file) in [
        ("config_sit", "sit/model.safetensors"),
        ("config_sit_b", "sit/model_b.safetensors"),
        ("config_sit_c", "sit/model_c.safetensors"),
    ] {
        let mut found = config(key).parameters();
        found.sort();
        let expected: Vec<_> = Arrays::golden(file).0.into_iter().map(|(name, a)| (name, a.shape)).collect();
        assert_eq!(found, expected, "{file}");
    }
}
