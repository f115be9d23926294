use super::{config, exported, network};
use crate::{Arrays, json};
use burn_mixflow::models::weights::WeightSource;

#[test]
fn export_equals_the_official_file() {
    let device = crate::device::device();
    for (key, file) in [
        ("config_sit", "sit/model.safetensors"),
        ("config_sit_b", "sit/model_b.safetensors"),
        ("config_sit_c", "sit/model_c.safetensors"),
    ] {
        let sit = network(key, file, WeightSource::Auto, &device);
        assert_eq!(exported(&sit).0, Arrays::golden(file).0, "{file}");
    }
}

#[test]
fn initial_weights_have_the_official_spread() {
    let sit = config("config_sit").init_seeded(5, &crate::device::device()).expect("a valid configuration");
    let stats = &json("manifest.json")["systems"]["sit"]["init_stats"];
    for (name, array) in exported(&sit).0 {
        let expected = stats[&name]["std"].as_f64().expect(&name);
        let count = array.values.len() as f64;
        let mean = array.values.iter().sum::<f64>() / count;
        let std = (array.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        // Two estimates of the same spread differ by a few times 1/√n.
        let slack = expected * 5.0 / count.sqrt();
        assert!((std - expected).abs() <= slack, "{name}: {std} instead of {expected}");
    }
}
