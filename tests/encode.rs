//! `mixflow encode`: the shipped photographs to latents and features, killed and gone on with, and a training on them.
mod formula;

use burn_mixflow::models::encoders::autoencoder_kl::AutoencoderKlConfig;
use burn_mixflow::models::encoders::dinov2::{DinoV2Config, DinoV2Layout};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Pictures that are good.
const GOOD: usize = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn autoencoder() -> AutoencoderKlConfig {
    AutoencoderKlConfig {
        block_out_channels: vec![32, 32, 32, 32],
        layers_per_block: 1,
        norm_num_groups: 8,
        ..AutoencoderKlConfig::sd1()
    }
}

fn dinov2() -> DinoV2Config {
    DinoV2Config { width: 24, depth: 1, heads: 2, ..DinoV2Config::base() }
}

fn write_weights(file: &Path, tensors: Vec<(String, Vec<usize>)>) {
    let of = |(name, shape): (String, Vec<usize>)| {
        let bytes: Vec<u8> = formula::weight(&name, &shape, false).into_iter().flat_map(f32::to_le_bytes).collect();
        (name, shape, bytes)
    };
    let made: Vec<_> = tensors.into_iter().map(of).collect();
    let views = made
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes")));
    safetensors::serialize_to_file(views, None, file).unwrap();
}

/// Pieces of the shipped photographs in two classes, one of which does not open; networks with the formula's weights; and the
/// file that describes the encoding.
fn prepare(folder: &Path) -> PathBuf {
    for (class, name) in [("building", "china.jpg"), ("flower", "flower.jpg")] {
        let photo = image::open(root().join("data").join(name)).unwrap();
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

fn mixflow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixflow"));
    command.current_dir(folder).args(arguments);
    command
}

fn done(folder: &Path, arguments: &[&str]) -> Output {
    let output = mixflow(folder, arguments).output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    output
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(one) = folders.pop() {
        for entry in std::fs::read_dir(&one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
            }
        }
    }
    found.retain(|path, _| !path.to_string_lossy().contains("lock"));
    found
}

fn arrays(folder: &Path) -> usize {
    files(folder).keys().filter(|path| path.extension().is_some_and(|e| e == "npy")).count()
}

#[test]
fn an_encoding_that_was_killed_is_the_whole_one_and_trains() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(whole.path());
    prepare(killed.path());
    let said = done(whole.path(), &["encode", "encode.json"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("20 encoded, 0 were there, 2 skipped"), "{text}");
    let all = text.clone() + &String::from_utf8_lossy(&said.stderr);
    assert!(all.contains("skipped: flower/2-broken.png"), "{all}");

    let encoded = killed.path().join("encoded");
    let mut child = mixflow(killed.path(), &["encode", "encode.json"]).spawn().unwrap();
    let began = Instant::now();
    while !encoded.exists() || arrays(&encoded) < 5 {
        assert!(began.elapsed() < Duration::from_secs(120), "nothing was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Half a file, as a machine without power leaves one.
    let some = files(&encoded).into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "npy")).unwrap();
    std::fs::write(encoded.join(&some.0), &some.1[..some.1.len() / 2]).unwrap();
    done(killed.path(), &["encode", "encode.json"]);
    let (expected, found) = (files(&whole.path().join("encoded")), files(&encoded));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    let other: Vec<_> = expected.iter().filter(|(path, bytes)| found[*path] != **bytes).map(|(path, _)| path).collect();
    assert!(other.is_empty(), "{other:?}");
    // Nothing is left to do.
    let again = done(killed.path(), &["encode", "encode.json"]);
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
}

#[test]
fn another_encoding_does_not_go_on_in_the_folder_and_problems_have_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = prepare(folder.path());
    done(folder.path(), &["encode", "encode.json"]);
    let mut json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    json["pictures"]["size"] = json!(512);
    std::fs::write(&file, json.to_string()).unwrap();
    let output = mixflow(folder.path(), &["encode", "encode.json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("size"), "{said}");

    json["pictures"]["size"] = json!(100);
    json["batch"] = json!(0);
    json["autoencodr"] = json!({});
    std::fs::write(&file, json.to_string()).unwrap();
    let said = |folder: &Path| {
        let output = mixflow(folder, &["encode", "encode.json"]).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(folder.path()).contains("autoencodr"), "{}", said(folder.path()));
    json.as_object_mut().unwrap().remove("autoencodr");
    std::fs::write(&file, json.to_string()).unwrap();
    let text = said(folder.path());
    for key in ["pictures.size = 100: must be a multiple of 8", "batch = 0: must be at least 1"] {
        assert!(text.contains(key), "{key} is not in {text}");
    }
}
