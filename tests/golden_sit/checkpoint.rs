use super::{NAMES, config, exported, network};
use crate::{Arrays, TOLERANCE, close, path};
use burn_mixflow::Error;
use burn_mixflow::models::SitConfig;
use burn_mixflow::models::weights::{ImportOptions, WeightSource, import};

#[test]
fn both_sets_of_an_official_checkpoint() {
    let device = crate::device::device();
    let load = |source| exported(&network("config_sit_c", "sit/ckpt.pt", source, &device)).0;
    let (raw, ema, auto) = (load(WeightSource::Raw), load(WeightSource::Ema), load(WeightSource::Auto));
    assert_eq!(ema, auto);
    assert_ne!(raw, ema);
    let start = Arrays::golden("sit/model_c.safetensors");
    assert_eq!(raw["pos_embed"], start.0["pos_embed"]);
    // The official EMA includes the frozen positions and rounds them a little.
    close("pos_embed", &ema["pos_embed"].values, &start.0["pos_embed"].values, TOLERANCE);
}

#[test]
fn a_checkpoint_of_another_size_is_refused_and_changes_nothing() {
    let recorded = config("config_sit_c");
    let wider = SitConfig { hidden_size: 2 * recorded.hidden_size, depth: recorded.depth + 1, ..recorded.clone() };
    let fresh = wider.init(&crate::device::device()).expect("a valid configuration");
    let before = exported(&fresh).0;
    let error = import(&fresh, &path("sit/ckpt.pt"), &ImportOptions::default(), NAMES).map(|_| ()).unwrap_err();
    let Error::Weights(message) = &error else { panic!("{error}") };

    let shape = |config: &SitConfig, name: &str| {
        config.parameters().into_iter().find(|(found, _)| found == name).expect("a parameter").1
    };
    let weight = "blocks.0.attn.qkv.weight";
    let [in_file, in_model] = [&recorded, &wider].map(|config| shape(config, weight));
    let misfit = format!("`{weight}` has shape {in_file:?} in the file, {in_model:?} in the model");
    assert!(message.contains(&misfit), "{message}");
    let missing = format!("`blocks.{}.attn.qkv.weight` is missing", recorded.depth);
    assert!(message.contains(&missing), "{message}");
    assert_eq!(exported(&fresh).0, before);
}

#[test]
fn a_truncated_checkpoint_is_an_error() {
    let fresh = config("config_sit_c").init(&crate::device::device()).expect("a valid configuration");
    let bytes = std::fs::read(path("sit/ckpt.pt")).expect("the checkpoint");
    let folder = tempfile::tempdir().expect("a folder");
    for parts in 0..16 {
        let file = folder.path().join(format!("{parts}.pt"));
        std::fs::write(&file, &bytes[..bytes.len() * parts / 16]).expect("a file");
        let error = import(&fresh, &file, &ImportOptions::default(), NAMES).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(".pt"), "{error}");
    }
}
