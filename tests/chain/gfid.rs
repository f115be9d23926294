//! The gFID of a table is that of the pictures that the same weights draw.
use crate::stages::{done, refused};
use crate::{ENCODE, prepare};
use serde_json::{Value, json};
use std::path::Path;

fn json_of(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_gfid_of_a_cell_is_that_of_the_pictures_of_its_arm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Without classes, so that a table and a sampling draw for the same labels.
    prepare(folder, "none");
    done(folder, &ENCODE);
    let mut config = json_of(&folder.join("train.json"));
    config["compare"] = json!({
        "evaluations": [4], "seeds": [0], "samples": 10, "batch_size": 4, "workers": 1,
        "gfid": {"inception": "inception.safetensors", "reference": "encoded/images"},
    });
    std::fs::write(folder.join("compare.json"), config.to_string()).unwrap();
    let table = done(folder, &["compare", "compare.json", "--folder", "table"]);
    let said = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(said.contains("## gFID: Inception features"), "{said}");
    let results = json_of(&folder.join("table/results.json"));
    let rows = results["rows"].as_array().unwrap();
    let of = |metric: &str, arm: &str| {
        let row = rows.iter().find(|row| row["metric"] == metric && row["arm"] == arm);
        row.unwrap_or_else(|| panic!("no {metric} of {arm}")).clone()
    };
    let mixflow = of("gfid", "MixFlow");
    assert!(mixflow["paired_change"].is_f64() && of("gfid", "no post-training")["mean"].is_f64());
    let floor = results["floors"].as_array().unwrap().iter().find(|floor| floor["metric"] == "gfid").unwrap();
    assert!(floor["distance"].as_f64().unwrap() >= 0.0);

    let arms = std::fs::read_dir(folder.join("table/arms")).unwrap();
    let names = arms.map(|arm| arm.unwrap().file_name().into_string().unwrap());
    let arm = names.into_iter().find(|name| name.starts_with("mixflow-")).unwrap();
    let run = format!("table/arms/{arm}/seed-0");
    done(folder, &["sample", &run, "--count", "10", "--seed", "0", "--folder", "of-arm"]);
    let inception = "inception.safetensors";
    let report = done(folder, &["evaluate", "encoded/images", "of-arm", "--inception", inception, "--json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let (found, expected) = (mixflow["mean"].as_f64().unwrap(), report["fid"]["value"].as_f64().unwrap());
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} in the table, {expected} of the pictures");

    // The energy distance is that of a table without a gFID, in which there are as many samples as held-out latents.
    config["compare"].as_object_mut().unwrap().remove("gfid");
    std::fs::write(folder.join("compare.json"), config.to_string()).unwrap();
    done(folder, &["compare", "compare.json", "--folder", "plain"]);
    let plain = json_of(&folder.join("plain/results.json"));
    let row = plain["rows"].as_array().unwrap().iter().find(|row| row["arm"] == "MixFlow").unwrap().clone();
    assert_eq!(row["mean"], of("energy_distance", "MixFlow")["mean"]);

    config["compare"]["gfid"] = json!({"inception": "nowhere.pth", "reference": "encoded/images"});
    std::fs::write(folder.join("compare.json"), config.to_string()).unwrap();
    let error = refused(folder, &["compare", "compare.json", "--folder", "plain"]);
    assert!(error.contains("compare.gfid.inception = \"nowhere.pth\": is not there"), "{error}");
    config["sample"].as_object_mut().unwrap().remove("autoencoder");
    std::fs::write(folder.join("compare.json"), config.to_string()).unwrap();
    let error = refused(folder, &["compare", "compare.json", "--folder", "plain"]);
    assert!(error.contains("compare.gfid : needs pictures"), "{error}");
}
