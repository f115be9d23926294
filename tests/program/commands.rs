//! Every command that reads an experiment, on everybody's own data.
use crate::place::{Place, Ran, photos, shipped, small};
use image::{DynamicImage, Rgb, RgbImage};
use serde_json::{Value, json};
use std::path::PathBuf;

/// JPEGs of mixed sizes in two subfolders, each a colour of its own with a brighter side.
fn write_jpegs(place: &Place, count: u32) {
    for i in 0..count {
        let folder = place.path("pictures").join(["left", "right"][i as usize % 2]);
        std::fs::create_dir_all(&folder).unwrap();
        let (width, height) = (12 + 7 * (i % 5), 10 + 5 * (i % 4));
        let pixel = |x: u32, y: u32| {
            let bright = if (x < width / 2) == (i % 2 == 0) { 140 } else { 20 };
            Rgb([bright + (i * 5 % 100) as u8, (i * 37 % 256) as u8, (y * 200 / height) as u8])
        };
        let picture = RgbImage::from_fn(width, height, pixel);
        let picture = if i % 7 == 3 { DynamicImage::ImageRgb8(picture).into_luma8().into() } else { picture.into() };
        DynamicImage::save(&picture, folder.join(format!("{i}.jpg"))).unwrap();
    }
}

/// A folder of JPEGs, and a transformer that reads them with their labels.
fn jpegs(place: &Place) -> Value {
    write_jpegs(place, 60);
    let data =
        json!({"kind": "images", "folder": "pictures", "size": 8, "labels": "folders", "flip": true, "held_out": 0.3});
    let network = json!({
        "kind": "sit", "input_size": 8, "patch_size": 4, "in_channels": 3, "hidden_size": 16, "depth": 1, "num_heads": 2,
        "num_classes": 2, "learn_sigma": false
    });
    let mut config = small(data, network);
    config["post_train"]["condition_dropout"] = 0.1.into();
    config
}

/// A table with names, three columns of numbers and one of classes.
fn csv(place: &Place) -> Value {
    let mut text = String::from("height,width,depth,kind\n");
    for i in 0..80 {
        let (a, b) = (f64::from(i * 37 % 80) / 80.0, f64::from(i * 11 % 80) / 80.0);
        text += &format!("{a},{},{},{}\n", 3.0 * a + b, b * b, ["old", "new"][i as usize % 2]);
    }
    std::fs::write(place.path("mine.csv"), text).unwrap();
    small(
        json!({"kind": "vectors", "file": "mine.csv", "label": "kind"}),
        json!({"kind": "residual_mlp", "channels": 3, "size": 1, "width": 16, "depth": 1, "num_classes": 2}),
    )
}

/// The shipped latents, each twice: of ten classes one latent each is held out, and of 24 too few would be left.
fn write_latents(place: &Place) {
    let (from, to) = (PathBuf::from(shipped("data/tiny/sit/vae-sd")), place.path("latents"));
    let listed: Value = serde_json::from_slice(&std::fs::read(from.join("dataset.json")).unwrap()).unwrap();
    let mut labels = Vec::new();
    for copy in ["a", "b"] {
        for entry in listed["labels"].as_array().unwrap() {
            let name = format!("{copy}/{}", entry[0].as_str().unwrap());
            std::fs::create_dir_all(to.join(&name).parent().unwrap()).unwrap();
            std::fs::copy(from.join(entry[0].as_str().unwrap()), to.join(&name)).unwrap();
            labels.push(json!([name, entry[1]]));
        }
    }
    std::fs::write(to.join("dataset.json"), json!({"labels": labels}).to_string()).unwrap();
}

/// Latents with an official checkpoint.
pub fn official(place: &Place) -> Value {
    write_latents(place);
    let file = shipped("configs/sit/tiny.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["data"]["folder"] = "latents".into();
    config["start"]["file"] = shipped("data/tiny/sit/ckpt.pt").into();
    let sizes = small(config["data"].clone(), config["network"].clone());
    for section in ["post_train", "compare", "gamma_search", "slow_flow"] {
        config[section] = sizes[section].clone();
    }
    // Heun with guidance takes four evaluations a step.
    config["compare"]["evaluations"] = json!([8, 12]);
    config["compare"]["samples"] = 4.into();
    config["sample"]["count"] = 3.into();
    config["sample"]["sampler"]["steps"] = 2.into();
    config
}

/// The average of an earlier run of ours, which is made first.
fn run_of_ours(place: &Place) -> Value {
    let mut config = photos();
    place.write("first.json", &config);
    place.run(&["post-train", "first.json"]).done();
    config["start"] = json!({"kind": "run", "folder": "runs/run-first"});
    config
}

/// The commands on one experiment, each in a folder of its own.
fn all_commands(place: &Place, config: &Value) {
    place.write("mine/all.json", config);
    let on = |command: &str| -> Ran { place.run(&[command, "mine/all.json", "--folder", command]).done() };

    let told = on("check").out;
    assert!(told.ends_with("\nready\n") && !told.contains("doubtful"), "{told}");
    for expected in ["data ", "start ", "post-train takes"] {
        assert!(
            told.contains(&format!("\n{expected}")) || told.starts_with(expected),
            "`{expected}` is not in:\n{told}"
        );
    }
    assert!(!place.path("check").exists(), "a check leaves results behind");

    let told = on("post-train").out;
    assert!(told.contains("items to train on") && told.contains("4 steps in"), "{told}");
    let count = config["sample"]["count"].as_u64().unwrap() as usize;
    place.has("post-train", &["config.json"]);
    place.has(
        "post-train/post_train",
        &[
            "ema.bpk",
            "ema.safetensors",
            "raw.safetensors",
            "samples.safetensors",
            "metrics/train.csv",
            "metrics/valid.csv",
        ],
    );
    let bytes = std::fs::read(place.path("post-train/post_train/samples.safetensors")).unwrap();
    let samples = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(samples.tensor("latents").unwrap().shape()[0], count);

    let table = on("compare").out;
    for expected in ["no post-training", "control", "MixFlow", "held-out data"] {
        assert!(table.contains(expected), "`{expected}` is not in:\n{table}");
    }
    let results = place.json("compare/results.json");
    let rows = results["rows"].as_array().unwrap();
    let budgets = config["compare"]["evaluations"].as_array().unwrap();
    let metrics = results["floors"].as_array().unwrap().len();
    // Three arms at every budget by every distance.
    assert_eq!((metrics > 0, rows.len()), (true, metrics * 3 * budgets.len()));
    for row in rows {
        assert!(row["mean"].as_f64().is_some_and(f64::is_finite), "{row}");
    }
    let of =
        |arm: &str| -> Vec<&Value> { rows.iter().filter(|row| row["arm"] == arm).map(|row| &row["values"]).collect() };
    assert_ne!(of("control"), of("no post-training"));
    assert_ne!(of("control"), of("MixFlow"));
    assert!(std::fs::read_to_string(place.path("compare/table.md")).unwrap().contains("| MixFlow |"));

    let told = on("choose-gamma").out;
    assert!(told.contains("\nγ = ") && told.contains("  pilots: a control, and γ = "), "{told}");
    let choices = place.json("choose-gamma/pilots/gamma.json");
    let [choice] = &choices.as_array().unwrap()[..] else { panic!("{choices}") };
    assert!(choice["reasons"].as_array().is_some_and(|reasons| reasons.len() >= 2), "{choice}");
    assert_eq!(choice["target"]["distance"], results["floors"][0]["metric"]);

    let told = on("slow-flow").out;
    assert!(told.contains("| before | distribution |") && told.contains("| after | distribution |"), "{told}");
    place.has("slow-flow/slow_flow", &["slow_flow.json", "slow_flow.csv", "slow_flow.png", "table.md"]);
    let measured = place.json("slow-flow/slow_flow/slow_flow.json");
    assert_eq!(measured["recommendations"].as_array().unwrap().len(), budgets.len());
}

#[test]
fn every_command_runs_on_a_folder_of_jpegs_of_mixed_sizes() {
    let place = Place::new();
    let config = jpegs(&place);
    all_commands(&place, &config);
    let picture = image::open(place.path("post-train/post_train/samples.png")).unwrap().into_rgb8();
    assert!(picture.width() >= 64 && picture.pixels().any(|pixel| pixel != picture.get_pixel(0, 0)));
}

#[test]
fn every_command_runs_on_a_csv() {
    let place = Place::new();
    let config = csv(&place);
    all_commands(&place, &config);
    assert!(!place.path("post-train/post_train/samples.png").exists());
}

#[test]
fn every_command_runs_on_latents_with_an_official_checkpoint() {
    let place = Place::new();
    let config = official(&place);
    all_commands(&place, &config);
    // An official checkpoint is not pretrained: only what was found in the data is kept.
    let kept = place.files("runs/cache");
    assert!(!kept.is_empty() && kept.keys().all(|file| file.starts_with("data")), "{:?}", kept.keys());
}

#[test]
fn every_command_runs_on_a_run_of_ours() {
    let place = Place::new();
    let config = run_of_ours(&place);
    let cached = place.files("runs/cache");
    all_commands(&place, &config);
    // Nothing was pretrained for it.
    assert!(place.files("runs/cache") == cached);
}

#[test]
fn a_check_names_what_is_wrong_and_what_is_doubtful() {
    let place = Place::new();
    place.write("pictures.json", &jpegs(&place));
    std::fs::write(place.path("pictures/left/4.jpg"), "no picture").unwrap();
    let error = place.run(&["check", "pictures.json"]).failed();
    assert!(error.contains("4.jpg"), "{error}");

    let mut other = official(&place);
    other["start"]["file"] = shipped("data/tiny/repa/ckpt.pt").into();
    place.write("other.json", &other);
    let error = place.run(&["check", "other.json"]).failed();
    assert!(error.contains("not ready:\n  start: ") && error.contains("looks like a checkpoint of REPA"), "{error}");

    let mut faint = csv(&place);
    faint["data"]["scale"] = 0.01.into();
    place.write("faint.json", &faint);
    let told = place.run(&["check", "faint.json"]).done().out;
    assert!(told.contains("doubtful: data: the deviation") && told.contains("is `scale` right?"), "{told}");
    assert!(told.ends_with("\nready\n"), "{told}");
    assert!(!place.path("runs/run-pictures").exists() && !place.path("runs/run-faint").exists());
}

#[test]
fn gamma_is_chosen_where_the_file_says_auto() {
    let place = Place::new();
    let mut config = photos();
    config["post_train"]["strategy"]["gamma"] = "auto".into();
    // The rule takes a γ only where it gains 3 %; two distances at two budgets of two steps do not always show that.
    config["gamma_search"]["gammas"] = json!([0.9]);
    place.write("auto.json", &config);
    let ran = place.run(&["post-train", "auto.json"]);
    let choice = place.json("runs/run-auto/pilots/gamma.json");
    match choice[0]["gamma"].as_f64() {
        Some(gamma) => {
            ran.done();
            assert_eq!(place.json("runs/run-auto/config.json")["post_train"]["strategy"]["gamma"], gamma);
        }
        None => {
            let error = ran.failed();
            assert!(error.contains("gamma = \"auto\"") && error.contains("write a number"), "{error}");
            assert!(!place.path("runs/run-auto/post_train").exists());
        }
    }
}
