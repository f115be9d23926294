//! Other classes and resolutions than those of the file, by name.
use crate::golden_support::exported;
use crate::{json, path};
use burn_mixflow::models::sit::OFFICIAL_NAMES;
use burn_mixflow::models::weights::{ImportOptions, KeyMap, import};
use burn_mixflow::models::{NetworkConfig, SitConfig};

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

fn config() -> SitConfig {
    serde_json::from_value(json("manifest.json")["systems"]["sit"]["config_sit_c"].clone()).expect("sizes")
}

#[test]
fn positions_are_computed_anew_and_classes_stay_fresh() {
    let recorded = config();
    let other = SitConfig { input_size: 2 * recorded.input_size, num_classes: 3 * recorded.num_classes, ..recorded };
    let fresh = other.init(&crate::device::device()).expect("a valid configuration");
    let file = path("sit/ckpt.pt");
    let error = import(&fresh, &file, &ImportOptions::default(), NAMES).map(|_| ()).unwrap_err().to_string();
    for says in [
        "2 problems:",
        "`pos_embed` has shape [1, 16, 24] in the file, [1, 64, 24] in the model",
        "the classes: the file has 11 rows, the network 31",
        "`network.num_classes` may stay that of the file",
        "the positions: fresh ones are computed for the resolution of the network",
        "write beside \"file\": \"replace\": [\"pos_embed\", \"y_embedder\"]",
        "under `ema`",
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    let options = ImportOptions { replace: vec!["pos_embed".into(), "y_embedder".into()], ..Default::default() };
    let (loaded, report) = import(&fresh, &file, &options, NAMES).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(report.replaced, ["pos_embed", "y_embedder.embedding_table.weight"]);
    let (fresh, loaded) = (exported(&fresh, NAMES).0, exported(&loaded, NAMES).0);
    for (name, array) in &loaded {
        let stays = report.replaced.contains(name) || array.values.iter().all(|value| *value == 0.0);
        assert!(stays == (fresh[name] == *array), "{name}");
    }
}

#[test]
fn the_error_for_rae_names_rotations_too() {
    let mut rae = json("manifest.json")["systems"]["rae"]["config_rae"].clone();
    rae["kind"] = "rae".into();
    rae["input_size"] = 8.into();
    let network: NetworkConfig = serde_json::from_value(rae).expect("a network");
    let network = network.init(0, &crate::device::device()).expect("a valid configuration");
    let file = path("rae/ckpt.pt");
    let error = network.import(&file, &ImportOptions::default()).map(|_| ()).unwrap_err().to_string();
    let names = ["dec_feat_rope", "enc_feat_rope", "pos_embed"];
    assert!(error.contains("\"replace\": [\"dec_feat_rope\", \"enc_feat_rope\", \"pos_embed\"]"), "{error}");
    let options = ImportOptions { replace: names.map(String::from).to_vec(), ..Default::default() };
    let (_, report) = network.import(&file, &options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(report.replaced.len(), 5);
}
