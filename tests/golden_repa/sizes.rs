use super::small;
use crate::golden_support::official_shapes;
use crate::{Arrays, json};
use burn_mixflow::models::RepaConfig;

fn count(parameters: &[(String, Vec<usize>)], below: &str) -> u64 {
    let counted = parameters.iter().filter(|(name, _)| name.starts_with(below));
    counted.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
}

#[test]
fn parameter_counts() {
    let manifest = json("manifest.json");
    let mut checked = 0;
    for (name, row) in manifest["params_flops"]["repa"].as_object().expect("a table") {
        if row.is_string() {
            // The official code cannot run it.
            assert!(RepaConfig::named(name).is_err(), "{name}");
            continue;
        }
        let config = RepaConfig::named(name).expect(name);
        let parameters = config.parameters();
        assert_eq!(Some(config.parameter_count() as u64), row["params"].as_u64(), "{name}");
        let trainable = config.parameter_count() as u64 - count(&parameters, "pos_embed");
        assert_eq!(Some(trainable), row["trainable"].as_u64(), "{name}");
        assert_eq!(Some(count(&parameters, "projectors.")), row["projector"].as_u64(), "{name}");
        checked += 1;
    }
    assert!(checked >= 3);
}

#[test]
fn names_and_shapes_of_the_full_models() {
    for size in ["B", "L", "XL"] {
        let mut found = RepaConfig::named(&format!("SiT-{size}/2")).expect(size).parameters();
        found.sort();
        assert_eq!(found, official_shapes(&format!("shapes/REPA-SiT-{size}-2.json")));
    }
}

#[test]
fn names_and_shapes_of_the_small_model() {
    let mut found = small().parameters();
    found.sort();
    let arrays = Arrays::golden("repa/model.safetensors").0;
    assert_eq!(found, arrays.into_iter().map(|(name, a)| (name, a.shape)).collect::<Vec<_>>());
}
