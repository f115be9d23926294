//! The gFID of a table is that of the pictures that the same weights draw.
use crate::stages::{count, done, files, killed, refused};
use crate::{ENCODE, prepare};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
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

/// Without what two sittings never share: seconds.
fn figures(table: &Path) -> Vec<Value> {
    let results = json_of(&table.join("results.json"));
    let keys = ["metric", "arm", "sampler", "evaluations", "mean", "paired_change"];
    let row = |row: &Value| keys.iter().map(|key| row[*key].clone()).collect();
    results["rows"].as_array().unwrap().iter().map(row).collect()
}

/// A part of a cell whose first sample has other features.
fn spoilt(bytes: Vec<u8>) -> Vec<u8> {
    let mut numbers = bytes[..bytes.len() - 64].to_vec();
    numbers[..400].as_chunks_mut::<4>().0.iter_mut().for_each(|number| *number = 3.0_f32.to_le_bytes());
    let checksum: String = Sha256::digest(&numbers).iter().map(|byte| format!("{byte:02x}")).collect();
    [numbers, checksum.into_bytes()].concat()
}

#[test]
fn a_cell_that_was_killed_between_its_parts_goes_on_and_what_it_is_measured_with_is_known_by_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "none");
    done(folder, &ENCODE);
    let mut config = json_of(&folder.join("train.json"));
    config["post_train"]["steps"] = 10.into();
    config["compare"] = json!({
        "evaluations": [2], "seeds": [0], "samples": 260, "batch_size": 64, "workers": 1,
        "gfid": {"inception": "inception.safetensors", "reference": "encoded/images"},
    });
    std::fs::write(folder.join("compare.json"), config.to_string()).unwrap();

    // What cannot be measured with is known before anything is trained.
    let inception = folder.join("inception.safetensors");
    let good = std::fs::read(&inception).unwrap();
    std::fs::write(&inception, &good[..good.len() / 2]).unwrap();
    let compare = |to| ["compare", "compare.json", "--folder", to];
    let error = refused(folder, &compare("whole"));
    assert!(error.contains("inception.safetensors") && !folder.join("whole/arms").exists(), "{error}");
    let error = refused(folder, &["check", "compare.json"]);
    assert!(error.contains("compare.gfid: ") && error.contains("inception.safetensors"), "{error}");
    std::fs::write(&inception, &good).unwrap();
    let checked = String::from_utf8_lossy(&done(folder, &["check", "compare.json"]).stdout).into_owned();
    assert!(checked.contains("to decode one and for its Inception features"), "{checked}");

    done(folder, &compare("whole"));
    let parts = |folder: &Path| count(&folder.join("killed/arms"), "-00000256.f32") >= 1;
    let at_work = killed(folder, &compare("killed"), parts);
    assert!(at_work && count(&folder.join("killed/arms"), "-00000256.f32") == 1);
    // A part that is there is taken: one that says otherwise, with the checksum of what it says, makes another gFID.
    for (path, bytes) in files(&folder.join("killed")) {
        let to = folder.join("spoilt").join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let is_part = path.to_string_lossy().ends_with("-00000256.f32");
        std::fs::write(to, if is_part { spoilt(bytes) } else { bytes }).unwrap();
    }
    done(folder, &compare("killed"));
    assert_eq!(figures(&folder.join("killed")), figures(&folder.join("whole")));
    done(folder, &compare("spoilt"));
    assert_ne!(figures(&folder.join("spoilt")), figures(&folder.join("whole")));
    assert_eq!(count(&folder.join("killed/arms"), "-00000256.f32"), 0, "parts of a whole cell are left");
    // Drawn on two devices it is the same; a training on two adds up in another order.
    done(folder, &["compare", "compare.json", "--folder", "two", "--set", "devices=[\"cpu\",\"cpu\"]"]);
    let of_start = |table: &str| {
        let rows = figures(&folder.join(table)).into_iter().filter(|row| row[1] == "no post-training");
        rows.map(|row| (row[0].clone(), row[4].clone())).collect::<Vec<_>>()
    };
    assert_eq!(of_start("two"), of_start("whole"));

    // Another picture in the reference, under its old name: another gFID.
    let pictures = folder.join("encoded/images");
    let mut names: Vec<_> = files(&pictures).into_keys().collect();
    names.retain(|name| name.extension().is_some_and(|end| end == "png"));
    std::fs::copy(pictures.join(&names[1]), pictures.join(&names[0])).unwrap();
    done(folder, &compare("whole"));
    let gfid = |table: &str| {
        let rows = figures(&folder.join(table)).into_iter().filter(|row| row[0] == "gfid");
        rows.map(|row| row[4].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert!(gfid("whole").iter().zip(gfid("killed")).all(|(a, b)| *a != b), "{:?}", gfid("whole"));
}
