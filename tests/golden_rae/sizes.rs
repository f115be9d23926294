use super::{config, manifest};
use crate::golden_support::official_shapes;
use crate::{Arrays, json};
use burn_mixflow::models::rae::{RaeConfig, RaeDecoderConfig};

/// `DiTDH-S (yaml)@16` as a configuration.
fn labelled(label: &str) -> Option<RaeConfig> {
    let (name, size) = label.split_once('@')?;
    let (name, _) = name.split_once(' ')?;
    Some(RaeConfig::named(name, 16 * size.parse::<usize>().expect(label)).expect(label))
}

#[test]
fn parameter_counts() {
    let manifest = json("manifest.json");
    let table = manifest["params_flops"]["rae"].as_object().expect("a table");
    let mut checked = 0;
    for (label, row) in table {
        let Some(config) = labelled(label) else {
            assert!(label.contains("decoder"), "{label}");
            let count = RaeDecoderConfig::default().parameter_count() as u64;
            assert_eq!(Some(count), row["params"].as_u64(), "{label}");
            continue;
        };
        assert_eq!(Some(config.parameter_count() as u64), row["params"].as_u64(), "{label}");
        // The official constructor freezes the positions and the frequencies, the official training does not.
        let frozen = |name: &str| name == "pos_embed" || name == "t_embedder.W";
        let fixed = config.parameters().into_iter().filter(|(name, _)| frozen(name));
        let fixed: usize = fixed.map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let trainable = (config.parameter_count() - fixed) as u64;
        assert_eq!(Some(trainable), row["trainable_at_init"].as_u64(), "{label}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn names_and_shapes_of_the_full_models() {
    for name in ["DiTDH-S", "DiTDH-XL"] {
        let mut found = RaeConfig::named(name, 256).expect(name).parameters();
        found.sort();
        assert_eq!(found, official_shapes(&format!("shapes/{name}_256px.json")));
    }
    let mut found = RaeDecoderConfig::default().parameters();
    found.sort();
    assert_eq!(found, official_shapes("shapes/RAE-decoder-ViTXL.json"));
}

#[test]
fn names_and_shapes_of_the_small_models() {
    for (key, file) in
        [("config_rae", "rae/model.safetensors"), ("config_rae_guidance", "rae/guidance_model.safetensors")]
    {
        let mut found = config(key).parameters();
        found.sort();
        let expected: Vec<_> = Arrays::golden(file).0.into_iter().map(|(name, a)| (name, a.shape)).collect();
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn the_default_is_the_official_constructor() {
    let recorded = manifest()["config_rae"].clone();
    let mut default = serde_json::to_value(RaeConfig::default()).expect("JSON");
    default.as_object_mut().expect("an object").remove("train_embeddings");
    let keys = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&default), keys(&recorded));
    assert_eq!(RaeConfig::default(), RaeConfig::named("DiTDH-XL", 256).expect("a name"));
}
