//! From pictures to a gFID in processes on a CPU: shipped photographs are encoded, a network is post-trained on them, sampled
//! and measured. Networks are small, and their weights are a formula of their names; every stage is killed and goes on.
mod formula;
#[path = "chain/gfid.rs"]
mod gfid;
#[path = "chain/prompts.rs"]
mod prompts;
mod stages;

use burn_mixflow::models::encoders::inception::InceptionConfig;
use serde_json::{Value, json};
use stages::{autoencoder, count, done, killed, same, shipped, write_weights};
use std::path::Path;
use std::time::{Duration, Instant};

/// Pictures that are encoded, each with its mirror.
const PICTURES: usize = 12;
/// Their side, in pixels.
const SIDE: usize = 64;

/// Pieces of the shipped photographs in two classes, the networks, and the files that describe what is to be done.
fn prepare(folder: &Path, labels: &str) {
    for (class, name) in [("building", "china.jpg"), ("flower", "flower.jpg")] {
        let photo = image::open(shipped("data").join(name)).unwrap();
        let class = folder.join("pictures").join(class);
        std::fs::create_dir_all(&class).unwrap();
        for i in 0..PICTURES as u32 / 2 {
            let piece = photo.crop_imm(40 * i, 20 * i, 200 + 30 * i, 220);
            piece.into_rgb8().save(class.join(format!("{i}.jpg"))).unwrap();
        }
    }
    let plain = |_: &str| 1.0;
    write_weights(&folder.join("vae.safetensors"), autoencoder().parameters(), |_| false, plain);
    let narrow = InceptionConfig { width_divisor: 16 };
    let tensors = narrow.parameters().into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let factor = |name: &str| if name.ends_with("conv.weight") { std::f32::consts::SQRT_2 } else { 1.0 };
    write_weights(&folder.join("inception.safetensors"), tensors.collect(), |_| false, factor);
    let vae = json!({"network": autoencoder(), "weights": {"file": "vae.safetensors"}});
    let encode = json!({
        "pictures": {"folder": "pictures", "size": SIDE, "labels": labels, "flips": "both"},
        "to": "encoded",
        "autoencoder": vae,
        "keep_pictures": true,
        "batch": 3,
        "held_out": 6,
    });
    let stage = |steps: usize| json!({"steps": steps, "batch_size": 4, "steps_per_epoch": 10});
    let (mut start, mut post_train) = (stage(10), stage(80));
    start["kind"] = "pretrain".into();
    post_train["strategy"] = json!({"kind": "mixflow", "gamma": 0.8});
    let classes = if labels == "none" { 1 } else { 2 };
    let train = json!({
        "extends": "encoded/data.json",
        "network": {"kind": "sit", "input_size": 8, "hidden_size": 24, "depth": 1, "num_heads": 2, "num_classes": classes},
        "start": start,
        "post_train": post_train,
        "sample": {"count": 2, "autoencoder": vae, "sampler": {"solver": "heun", "steps": 2, "batch_size": 4}},
    });
    for (name, config) in [("encode.json", encode), ("train.json", train)] {
        std::fs::write(folder.join(name), config.to_string()).unwrap();
    }
}

const ENCODE: [&str; 2] = ["encode", "encode.json"];
const TRAIN: [&str; 4] = ["post-train", "train.json", "--folder", "run"];
const SAMPLE: [&str; 6] = ["sample", "run", "--count", "20", "--as", "npz"];
const EVALUATE: [&str; 6] =
    ["evaluate", "encoded/images", "run/post_train/samples/pictures", "--inception", "inception.safetensors", "--json"];

fn measured(folder: &Path) -> Value {
    serde_json::from_slice(&done(folder, &EVALUATE).stdout).unwrap()
}

#[test]
fn a_chain_whose_every_stage_was_killed_ends_as_the_whole_one() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, parts) = (whole.path(), parts.path());
    for folder in [whole, parts] {
        prepare(folder, "folders");
    }
    for stage in [&ENCODE[..], &TRAIN, &SAMPLE] {
        done(whole, stage);
    }
    let expected = measured(whole);
    assert_eq!(expected["sample_count"], 20);
    assert_eq!(expected["reference"]["count"], 2 * PICTURES);
    for measure in ["fid", "sfid", "inception_score", "precision", "recall", "kid"] {
        assert!(expected[measure]["value"].as_f64().is_some_and(f64::is_finite), "{measure}: {expected}");
    }

    let mut at_work = Vec::new();
    at_work.push(killed(parts, &ENCODE, |folder| count(&folder.join("encoded"), ".npy") >= 5));
    done(parts, &ENCODE);
    same(&whole.join("encoded"), &parts.join("encoded"));
    at_work.push(killed(parts, &TRAIN, |folder| count(&folder.join("run/post_train/checkpoints"), "COMPLETE") >= 2));
    done(parts, &TRAIN);
    let weights = |folder: &Path| std::fs::read(folder.join("run/post_train/ema.safetensors")).unwrap();
    assert!(weights(whole) == weights(parts), "other weights");
    at_work.push(killed(parts, &SAMPLE, |folder| count(&folder.join("run/post_train/samples/pictures"), ".png") >= 6));
    let said = done(parts, &SAMPLE);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(!said.contains("20 drawn"), "{said}");
    let samples = |folder: &Path| folder.join("run/post_train/samples");
    // `samples.json` names the weights by a hash of Burn's file, which numbers its parameters by chance.
    same(&samples(whole).join("pictures"), &samples(parts).join("pictures"));
    let archive = |folder: &Path| std::fs::read(samples(folder).join("samples_20x64x64x3.npz")).unwrap();
    assert!(archive(whole) == archive(parts), "other archives");
    let began = Instant::now();
    at_work.push(killed(parts, &EVALUATE, |_| began.elapsed() > Duration::from_millis(300)));
    assert_eq!(measured(parts), expected);
    assert!(at_work.iter().filter(|one| **one).count() >= 3, "too fast to be killed: {at_work:?}");

    let other = ["sample", "run", "--count", "20", "--set", "sample.sampler.batch_size=3", "--set"];
    let other = [&other[..], &["devices=[\"cpu\", \"cpu\"]", "--folder", "other"]].concat();
    done(whole, &other);
    same(&samples(whole).join("pictures"), &whole.join("other/pictures"));
    let more = done(whole, &["sample", "run", "--count", "23"]);
    let more = String::from_utf8_lossy(&more.stdout).into_owned();
    assert!(more.contains("3 drawn, 20 were there"), "{more}");
    // The weights of a start, which post-training has moved.
    done(whole, &["sample", "train.json", "--count", "4", "--folder", "start"]);
    let first = |folder: &str| std::fs::read(whole.join(folder).join("pictures/000000.png")).unwrap();
    assert!(first("start") != first("other"), "post-training has changed no picture");
    let refused = stages::refused(whole, &["sample", "run", "--count", "20", "--seed", "1"]);
    assert!(refused.contains("made_of.seed: was 0, now 1"), "{refused}");
}

/// One picture at a time or all in one file: the same noise, labels and decoder, and RAE's rule for bytes.
#[test]
fn pictures_in_parts_are_the_decoded_samples_of_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = std::fs::read_to_string(shipped("configs/rae/tiny.json")).unwrap();
    let tiny = shipped("data/tiny").display().to_string();
    std::fs::write(folder.join("rae.json"), text.replace("data/tiny", &tiny)).unwrap();
    done(folder, &["post-train", "rae.json", "--folder", "run", "--set", "post_train.steps=10"]);
    done(folder, &["sample", "run", "--count", "5", "--as", "tensors", "--folder", "whole"]);
    done(folder, &["sample", "run", "--count", "5", "--set", "sample.sampler.batch_size=2", "--folder", "parts"]);
    let bytes = std::fs::read(folder.join("whole/samples.safetensors")).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pixels = stored.tensor("pixels").unwrap();
    let [count, _, height, width] = <[usize; 4]>::try_from(pixels.shape()).unwrap();
    let values: Vec<f32> = pixels.data().as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    assert_eq!(count, 5);
    for (i, values) in values.chunks(3 * height * width).enumerate() {
        let picture = image::open(folder.join(format!("parts/pictures/{i:06}.png"))).unwrap().into_rgb8();
        assert_eq!([picture.height() as usize, picture.width() as usize], [height, width]);
        for (place, pixel) in picture.pixels().enumerate() {
            let expected = [0, 1, 2].map(|colour| (255.0 * values[colour * height * width + place]) as i16);
            let off = (0..3).map(|c| (i16::from(pixel.0[c]) - expected[c]).abs()).max().unwrap();
            // A last digit of another batch may move a value across the next byte.
            assert!(off <= 1, "picture {i}, pixel {place}: {:?} instead of {expected:?}", pixel.0);
        }
    }
}
