use super::config;
use crate::golden_support::official_shapes;
use crate::{Arrays, json};
use burn_mixflow::models::sit::SitConfig;

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
    assert!(checked > 0 && checked == table.len());
}

#[test]
fn names_and_shapes_of_the_full_models() {
    for (file, name) in [("shapes/SiT-XL-2.json", "SiT-XL/2"), ("shapes/SiT-B-2.json", "SiT-B/2")] {
        let mut found = SitConfig::named(name).expect(name).parameters();
        found.sort();
        assert_eq!(found, official_shapes(file));
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
