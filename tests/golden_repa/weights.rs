use super::{exported, network, small};
use crate::Arrays;
use burn_mixflow::models::SitConfig;
use burn_mixflow::models::sit::OFFICIAL_NAMES;
use burn_mixflow::models::weights::WeightSource;

#[test]
fn export_equals_the_official_file() {
    let file = "repa/model.safetensors";
    assert_eq!(exported(&network(file, WeightSource::Auto, &crate::device::device())).0, Arrays::golden(file).0);
}

#[test]
fn a_fresh_trunk_is_the_fresh_sit() {
    let (config, device) = (small(), crate::device::device());
    let sit = SitConfig {
        input_size: config.input_size,
        patch_size: config.patch_size,
        in_channels: config.in_channels,
        hidden_size: config.hidden_size,
        depth: config.depth,
        num_heads: config.num_heads,
        mlp_ratio: config.mlp_ratio,
        class_dropout_prob: config.class_dropout_prob,
        num_classes: config.num_classes,
        learn_sigma: false,
    };
    let sit = sit.init_seeded(3, &device).expect("a valid configuration");
    let sit = crate::golden_support::exported(&sit, burn_mixflow::models::weights::KeyMap(OFFICIAL_NAMES)).0;
    let mut repa = exported(&config.init_seeded(3, &device).expect("a valid configuration")).0;
    repa.retain(|name, _| !name.starts_with("projectors."));
    assert_eq!(repa, sit);
}
