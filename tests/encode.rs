//! `mixflow encode`: the shipped photographs to latents and features, killed and gone on with, and a training on them.
mod formula;
mod stages;

use burn_mixflow::models::encoders::dinov2::{DinoV2Config, DinoV2Layout};
use serde_json::{Value, json};
use stages::{autoencoder, count, done, files, killed, refused, same, shipped};
use std::path::{Path, PathBuf};

/// Pictures that are good.
const GOOD: usize = 10;

fn dinov2() -> DinoV2Config {
    DinoV2Config { width: 24, depth: 1, heads: 2, ..DinoV2Config::base() }
}

fn write_weights(file: &Path, tensors: Vec<(String, Vec<usize>)>) {
    stages::write_weights(file, tensors, |_| false, |_| 1.0);
}

/// Pieces of the shipped photographs in two classes, one of which does not open; networks with the formula's weights; and the
/// file that describes the encoding.
fn prepare(folder: &Path) -> PathBuf {
    for (class, name) in [("building", "china.jpg"), ("flower", "flower.jpg")] {
        let photo = image::open(shipped("data").join(name)).unwrap();
        let class = folder.join("pictures").join(class);
        std::fs::create_dir_all(&class).unwrap();
        for i in 0..GOOD as u32 / 2 {
            let piece = photo.crop_imm(40 * i, 20 * i, 300 + 30 * i, 280);
            piece.save(class.join(format!("{i}.png"))).unwrap();
        }
    }
    std::fs::write(folder.join("pictures/flower/2-broken.png"), b"no picture").unwrap();
    write_weights(&folder.join("vae.safetensors"), autoencoder().parameters());
    write_weights(&folder.join("dino.safetensors"), dinov2().parameters(DinoV2Layout::Hub));
    let config = json!({
        "pictures": {"folder": "pictures", "size": 256, "labels": "folders", "flips": "both"},
        "to": "encoded",
        "autoencoder": {"network": autoencoder(), "weights": {"file": "vae.safetensors"}},
        "features": {"network": dinov2(), "file": "dino.safetensors"},
        "keep_pictures": true,
        "batch": 3,
        "held_out": 4,
    });
    let file = folder.join("encode.json");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[test]
fn an_encoding_that_was_killed_is_the_whole_one_and_trains() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(whole.path());
    prepare(parts.path());
    let said = done(whole.path(), &["encode", "encode.json"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("20 encoded, 0 were there, 2 skipped"), "{text}");
    let all = text.clone() + &String::from_utf8_lossy(&said.stderr);
    assert!(all.contains("skipped: flower/2-broken.png"), "{all}");

    let encoded = parts.path().join("encoded");
    assert!(killed(parts.path(), &["encode", "encode.json"], |folder| count(&folder.join("encoded"), ".npy") >= 5));
    // Half a file, as a machine without power leaves one.
    let some = files(&encoded).into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "npy")).unwrap();
    std::fs::write(encoded.join(&some.0), &some.1[..some.1.len() / 2]).unwrap();
    done(parts.path(), &["encode", "encode.json"]);
    same(&whole.path().join("encoded"), &encoded);
    // Nothing is left to do.
    let again = done(parts.path(), &["encode", "encode.json"]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.contains("0 encoded, 20 were there"), "{text}");

    trains(whole.path());
}

fn trains(folder: &Path) {
    let stage = json!({"steps": 2, "batch_size": 4, "steps_per_epoch": 2});
    let config = json!({
        "extends": "encoded/data.json",
        "network": {"kind": "repa", "input_size": 32, "hidden_size": 24, "depth": 2, "num_heads": 2, "encoder_depth": 1,
            "num_classes": 2, "z_dims": [24], "projector_dim": 16},
        "start": {"kind": "pretrain", "steps": 2, "batch_size": 4, "steps_per_epoch": 2},
        "post_train": stage,
        "sample": {"count": 2, "sampler": {"solver": "euler", "steps": 2, "batch_size": 2}},
    });
    std::fs::write(folder.join("train.json"), config.to_string()).unwrap();
    done(folder, &["check", "train.json", "--folder", "run"]);
    done(folder, &["post-train", "train.json", "--folder", "run"]);
    let data: Value = serde_json::from_slice(&std::fs::read(folder.join("encoded/data.json")).unwrap()).unwrap();
    assert_eq!(data["data"]["shape"], json!([4, 32, 32]));
    assert_eq!(data["data"]["scale"], json!(0.18215));
    assert_eq!(data["data"]["mirrors_from"], json!(GOOD + 1), "the one that does not open has a number too");
}

#[test]
fn another_encoding_does_not_go_on_in_the_folder_and_problems_have_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = prepare(folder.path());
    done(folder.path(), &["encode", "encode.json"]);
    let mut json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    json["pictures"]["size"] = json!(512);
    std::fs::write(&file, json.to_string()).unwrap();
    let said = |folder: &Path| refused(folder, &["encode", "encode.json"]);
    let other = said(folder.path());
    assert!(other.contains("size"), "{other}");

    json["pictures"]["size"] = json!(100);
    json["batch"] = json!(0);
    json["autoencodr"] = json!({});
    std::fs::write(&file, json.to_string()).unwrap();
    assert!(said(folder.path()).contains("autoencodr"), "{}", said(folder.path()));
    json.as_object_mut().unwrap().remove("autoencodr");
    std::fs::write(&file, json.to_string()).unwrap();
    let text = said(folder.path());
    for key in ["pictures.size = 100: must be a multiple of 8", "batch = 0: must be at least 1"] {
        assert!(text.contains(key), "{key} is not in {text}");
    }
}
