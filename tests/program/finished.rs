//! What can be done with a finished run: more samples, its weights in a file, nothing a second time.
use crate::place::{Place, photos};
use serde_json::json;

/// The values of the samples and their labels.
fn samples(place: &Place, file: &str) -> (Vec<f32>, Vec<u8>) {
    let bytes = std::fs::read(place.path(file)).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let latents = stored.tensor("latents").unwrap();
    let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    (latents.data().chunks_exact(4).map(value).collect(), stored.tensor("labels").unwrap().data().to_vec())
}

fn finished() -> Place {
    let place = Place::new();
    place.write("a.json", &photos());
    place.run(&["post-train", "a.json"]).done();
    place
}

#[test]
fn a_finished_post_training_trains_nothing_a_second_time() {
    let place = finished();
    let before = place.files("runs/run-a/post_train");
    let told = place.run(&["post-train", "a.json"]).done().out;
    assert!(told.contains("\n0 steps in "), "{told}");
    let after = place.files("runs/run-a/post_train");
    for name in ["ema.bpk", "ema.safetensors", "raw.safetensors", "samples.safetensors", "samples.png"] {
        assert!(before[std::path::Path::new(name)] == after[std::path::Path::new(name)], "{name} was changed");
    }
}

#[test]
fn quiet_says_nothing_but_errors_and_results() {
    let place = Place::new();
    place.write("a.json", &photos());
    let ran = place.run(&["post-train", "a.json", "--quiet"]).done();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    place.has("runs/run-a/post_train", &["ema.bpk", "samples.safetensors"]);
    let table = place.run(&["--quiet", "compare", "a.json"]).done().out;
    assert_eq!(table.trim(), std::fs::read_to_string(place.path("runs/run-a/table.md")).unwrap().trim());
    let error = place.run(&["-q", "compare", "a.json", "--set", "compare.samples=0"]).failed();
    assert!(error.contains("compare.samples = 0: must be at least 2"), "{error}");
}

#[test]
fn a_sample_has_the_same_noise_whatever_the_count() {
    let place = finished();
    let told = place.run(&["sample", "runs/run-a", "--folder", "few"]).done().out;
    assert!(told.contains("network evaluations for each: 2"), "{told}");
    // Three samples are what the file asks for, and what post-training left.
    let (few, labels) = samples(&place, "few/samples.safetensors");
    assert_eq!(few.len(), 3 * 256);
    assert_eq!((few.clone(), labels), samples(&place, "runs/run-a/post_train/samples.safetensors"));
    place.run(&["sample", "runs/run-a/post_train", "--count", "7", "--folder", "many"]).done();
    let many = samples(&place, "many/samples.safetensors").0;
    assert_eq!(many.len(), 7 * 256);
    assert_eq!(many[..few.len()], few);

    let other = |name: &str, arguments: &[&str]| {
        let all = [&["sample", "runs/run-a", "--folder", name][..], arguments].concat();
        place.run(&all).done();
        samples(&place, &format!("{name}/samples.safetensors")).0
    };
    assert_ne!(other("seed", &["--seed", "1"]), few);
    assert_eq!(other("same-seed", &["--seed", "0", "--count", "3"]), few);
    let longer = other("steps", &["--set", "sample.sampler.steps=5"]);
    assert_ne!(longer, few);
    // Sampling left the run as it was.
    assert_eq!(samples(&place, "runs/run-a/post_train/samples.safetensors").0, few);
    let error = place.run(&["sample", "runs/run-a", "--count", "0"]).failed();
    assert!(error.contains("sample.count = 0: must be in 1..="), "{error}");
}

#[test]
fn an_arm_of_a_table_is_a_finished_run() {
    let place = Place::new();
    place.write("a.json", &photos());
    place.run(&["compare", "a.json"]).done();
    let arms = std::fs::read_dir(place.path("runs/run-a/arms")).unwrap();
    let names = arms.map(|arm| arm.unwrap().file_name().into_string().unwrap());
    let arm = names.into_iter().find(|name| name.starts_with("mixflow-")).unwrap();
    let run = format!("runs/run-a/arms/{arm}/seed-0");
    place.run(&["sample", &run, "--folder", "of-arm"]).done();
    // The first seed's MixFlow arm is the post-training of the same file.
    place.run(&["post-train", "a.json", "--folder", "alone"]).done();
    assert_eq!(samples(&place, "of-arm/samples.safetensors"), samples(&place, "alone/post_train/samples.safetensors"));
    place.run(&["export", &run, "arm.safetensors"]).done();
    let read = |file: &str| std::fs::read(place.path(file)).unwrap();
    assert!(read("arm.safetensors") == read("alone/post_train/ema.safetensors"));
}

#[test]
fn exported_weights_are_a_start_again() {
    let place = finished();
    let read = |file: &str| std::fs::read(place.path(file)).unwrap();
    place.run(&["export", "runs/run-a", "full.safetensors"]).done();
    assert!(read("full.safetensors") == read("runs/run-a/post_train/ema.safetensors"));
    for dtype in ["f16", "bf16"] {
        let file = format!("{dtype}.safetensors");
        place.run(&["export", "runs/run-a", &file, "--dtype", dtype]).done();
        let bytes = read(&file);
        let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let expected = if dtype == "f16" { safetensors::Dtype::F16 } else { safetensors::Dtype::BF16 };
        assert!(stored.iter().all(|(_, tensor)| tensor.dtype() == expected), "{dtype}");
        assert!(bytes.len() < read("full.safetensors").len() * 2 / 3, "{dtype}: {} bytes", bytes.len());
    }

    // Post-training that starts with the file is the one that starts with the run.
    let start_with = |name: &str, start: serde_json::Value| {
        let mut config = photos();
        config["start"] = start;
        place.write(&format!("{name}.json"), &config);
        place.run(&["post-train", &format!("{name}.json"), "--folder", name]).done();
        read(&format!("{name}/post_train/ema.safetensors"))
    };
    let from_run = start_with("from-run", json!({"kind": "run", "folder": "runs/run-a"}));
    let from_file = start_with("from-file", json!({"kind": "weights", "file": "full.safetensors"}));
    let from_half = start_with("from-half", json!({"kind": "weights", "file": "f16.safetensors"}));
    assert!(from_run == from_file);
    assert!(from_half != from_file && from_half.len() == from_file.len());
}

#[test]
fn a_folder_of_another_configuration_is_refused_before_any_pilot_is_run() {
    let place = finished();
    let kept = place.files("runs/run-a");
    let mut other = photos();
    other["post_train"]["strategy"]["gamma"] = "auto".into();
    other["post_train"]["batch_size"] = 4.into();
    other["data"]["train"] = 90.into();
    place.write("b.json", &other);
    for command in ["post-train", "compare", "slow-flow"] {
        let error = place.run(&[command, "b.json", "--folder", "runs/run-a"]).failed();
        assert!(error.contains("runs/run-a: holds the results of another configuration"), "{command}: {error}");
        for expected in ["data.train: was 100, now 90", "post_train.batch_size: was 8, now 4"] {
            assert!(error.contains(expected), "{command}: `{expected}` is not in:\n{error}");
        }
        assert!(!error.contains("gamma"), "{command}: a γ that is still to be chosen agrees with any: {error}");
    }
    let error = place.run(&["compare", "a.json", "--set", "post_train.strategy.gamma=0.5"]).failed();
    assert!(error.contains("post_train.strategy.gamma: was 0.3, now 0.5"), "{error}");
    assert!(place.files("runs/run-a") == kept, "a refused command left something behind");
    // What only changes the table or the samples is no other configuration.
    place.run(&["compare", "a.json", "--set", "compare.samples=20", "--set", "sample.count=2"]).done();
}
