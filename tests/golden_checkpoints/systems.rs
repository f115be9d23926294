use super::CHECKPOINTS;
use crate::golden_support::exported;
use crate::{json, path};
use burn_mixflow::models::sit::{OFFICIAL_NAMES, Sit, SitConfig};
use burn_mixflow::models::weights::{ImportOptions, KeyMap, import};

const NAMES: KeyMap<'static> = KeyMap(OFFICIAL_NAMES);

pub fn sit() -> Sit {
    let config: SitConfig =
        serde_json::from_value(json("manifest.json")["systems"]["sit"]["config_sit_c"].clone()).expect("sizes");
    config.init(&crate::device::device()).expect("a valid configuration")
}

#[test]
fn another_system_is_named_and_changes_nothing() {
    let fresh = sit();
    let before = exported(&fresh, NAMES).0;
    let prefixed = ("sd35/modelA.safetensors", "SD3.5", "");
    for (file, system, _) in CHECKPOINTS.into_iter().filter(|c| c.1 != "SiT").chain([prefixed]) {
        let error = import(&fresh, &path(file), &ImportOptions::default(), NAMES).map(|_| ()).unwrap_err().to_string();
        let says = format!("this looks like a checkpoint of {system}, the model is SiT; ");
        assert!(error.contains(&says) && error.lines().count() <= 22, "{error}");
        assert_eq!(exported(&fresh, NAMES).0, before);
    }
}

#[test]
fn what_is_allowed_must_exist() {
    let options = ImportOptions { allow_unused: vec!["projectors".into()], ..Default::default() };
    let error = import(&sit(), &path("sit/ckpt.pt"), &options, NAMES).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("allow_unused: `projectors` is no tensor in the file"), "{error}");
}

#[test]
fn the_report_reads_well() {
    let (_, report) = import(&sit(), &path("sit/ckpt.pt"), &ImportOptions::default(), NAMES).expect("a fit");
    assert_eq!(
        report.to_string(),
        format!("{} tensors loaded from the EMA weights under `ema` (`model`, `opt` left alone)", report.loaded)
    );
}
