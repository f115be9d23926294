//! The arms of a table on several devices at the same time.
use crate::place::{Place, photos};
use serde_json::{Value, json};

/// The rows of a table on `devices`, and what the program said.
fn table(place: &Place, folder: &str, devices: Value, changes: &[&str]) -> (Value, String) {
    let devices = format!("devices={devices}");
    let settings = ["compare.seeds=[0,1]", &devices].into_iter().chain(changes.iter().copied());
    let settings = settings.flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["compare", "a.json", "--folder", folder].into_iter().chain(settings).collect();
    let said = place.run(&arguments).done().out;
    (place.json(&format!("{folder}/results.json"))["rows"].clone(), said)
}

#[test]
fn arms_on_devices_of_their_own_come_out_as_one_after_the_other() {
    let place = Place::new();
    place.write("a.json", &photos());
    let (one, said) = table(&place, "one", json!(["cpu"]), &["compare.workers=1"]);
    assert!(said.contains("6 of 6 arms × seeds to do, 1 at a time on cpu\n"), "{said}");
    // Pretraining was on one device, and is not made again.
    let (each, said) = table(&place, "each", json!(["cpu", "cpu"]), &["compare.workers=2"]);
    assert!(said.contains("6 of 6 arms × seeds to do, 2 at a time on cpu\n"), "{said}");
    assert_eq!(said.matches(": done on cpu; ").count(), 6, "{said}");
    assert_eq!(each, one);
    // What a job was told to compute on is not what the folder is of.
    assert_eq!(place.json("each/config.json")["devices"], json!(["cpu", "cpu"]));
}

#[test]
fn weights_that_are_spread_over_devices_have_all_of_them() {
    let place = Place::new();
    place.write("a.json", &photos());
    let changes = ["post_train.sharding=\"optimizer\"", "compare.seeds=[0]"];
    let (_, said) = table(&place, "spread", json!(["cpu", "cpu"]), &changes);
    assert!(said.contains("3 of 3 arms × seeds to do, 1 at a time on cpu + cpu\n"), "{said}");
}

#[test]
fn a_batch_that_only_all_devices_hold_is_told_before_anything_is_pretrained() {
    let place = Place::new();
    place.write("a.json", &photos());
    let settings = ["devices=[\"cpu\", \"cpu\"]", "data.train=12", "start.batch_size=16", "post_train.batch_size=16"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let all = |more: &[&'static str]| -> Vec<&str> {
        ["compare", "a.json"].into_iter().chain(settings.clone()).chain(more.iter().copied()).collect()
    };
    let error = place.run(&all(&["--set", "compare.workers=2"])).failed();
    assert!(error.contains("each arm is done on one of the devices") && error.contains("batch_size = 16"), "{error}");
    assert!(error.contains("`compare.workers` = 1 gives each arm all devices"), "{error}");
    assert!(!place.path("runs/cache").exists(), "pretraining was begun");
    place.run(&all(&["--set", "compare.workers=1"])).done();
}
