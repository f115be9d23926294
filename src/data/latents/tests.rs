use super::*;
use crate::data::latents::array::Array;
use crate::train::{EpochLoader, FlowBatch};
use crate::{Error, Result};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};

fn tiny(system: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny").join(system)
}

fn sit() -> LatentsConfig {
    LatentsConfig {
        folder: tiny("sit/vae-sd"),
        shape: [4, 8, 8],
        classes: 10,
        posterior: true,
        scale: 0.18215,
        shift: 0.0,
        normalization: None,
        features: Vec::new(),
        text: None,
        held_out: 4,
    }
}

fn all(set: &LatentSet) -> Vec<LatentItem> {
    set.iter().map(|item| item.unwrap()).collect()
}

/// Mean and deviation over all values of all items.
fn moments(items: &[LatentItem]) -> (f64, f64) {
    let values: Vec<f64> = items.iter().flat_map(|item| &item.mean).map(|v| f64::from(*v)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
}

/// A copy of the SiT folder to damage.
fn copied() -> (tempfile::TempDir, LatentsConfig) {
    let target = tempfile::tempdir().unwrap();
    std::fs::create_dir(target.path().join("00000")).unwrap();
    for name in listing::arrays(&sit().folder).unwrap().iter().map(String::as_str).chain(["dataset.json"]) {
        std::fs::copy(sit().folder.join(name), target.path().join(name)).unwrap();
    }
    let config = LatentsConfig { folder: target.path().to_path_buf(), ..sit() };
    (target, config)
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn json_names_the_folders_and_refuses_misspelt_keys() {
    let text =
        r#"{"folder": "a", "shape": [4, 8, 8], "classes": 10, "posterior": true, "scale": 0.18215, "held_out": 4}"#;
    let config: LatentsConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config, LatentsConfig { folder: "a".into(), ..sit() });
    assert!(serde_json::from_str::<LatentsConfig>(&text.replace("scale", "scael")).is_err());
    let broken = LatentsConfig {
        folder: PathBuf::new(),
        shape: [4, 0, 8],
        scale: 0.0,
        shift: f64::NAN,
        features: vec![PathBuf::new()],
        text: Some(PathBuf::new()),
        held_out: 0,
        ..sit()
    };
    let paths: Vec<_> = broken.problems("d").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["d.folder", "d.shape", "d.scale", "d.shift", "d.held_out", "d.features[0]", "d.text"]);
    assert!(matches!(LatentsConfig { held_out: 24, ..sit() }.open(), Err(Error::Config(p)) if p.len() == 1));
}

#[test]
fn the_last_items_are_held_out_and_values_are_scaled() {
    let split = sit().open().unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (20, 4));
    assert!(split.train.file(0).ends_with("00000/img-mean-std-00000000.npy"));
    assert!(split.held_out.file(0).ends_with("00000/img-mean-std-00000020.npy"));
    assert_eq!(split.train.labels()[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    // Beyond the end lie the held out ones.
    assert!(split.train.get(20).unwrap_err().to_string().contains("latent 20: must be below 20"));
    let items = [all(&split.train), all(&split.held_out)].concat();
    let (mean, deviation) = moments(&items);
    assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-5, "{mean} {deviation}");
    let range = |item: &LatentItem| item.deviation.as_ref().unwrap().iter().all(|v| (0.009..0.028).contains(v));
    assert!(items.iter().all(|item| item.mean.len() == 256 && range(item)));
    assert!(items.iter().all(|item| item.features.is_empty() && item.text.is_none()));
}

#[test]
fn features_stand_beside_their_latents() {
    let features = tiny("repa/features");
    let config = LatentsConfig { folder: tiny("repa/vae-sd"), features: vec![features.clone(); 2], ..sit() };
    let split = config.open().unwrap();
    assert_eq!(split.features, [[16, 12]; 2]);
    let items = all(&split.train);
    let file = features.join("00000/img-feature-00000003.npy");
    assert_eq!(items[3].features, vec![Array::read(&file).unwrap(); 2]);
    let device = Device::flex();
    let batcher = LatentBatcher::new([4, 8, 8], |items: &[LatentItem], device: &Device| {
        (stack_labels(items, device), stack_features(items, device))
    });
    let FlowBatch { data, deviation, condition: (labels, stacked), .. } = batcher.batch(items[..5].to_vec(), &device);
    assert_eq!((data.dims(), deviation.unwrap().dims()), ([5, 4, 8, 8], [5, 4, 8, 8]));
    assert_eq!(labels.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!((stacked.len(), stacked[1].dims()), (2, [5, 16, 12]));
    let third: Vec<f32> = stacked[0].clone().narrow(0, 3, 1).into_data().iter().collect();
    assert_eq!(third, items[3].features[0].values);
}

#[test]
fn normalised_latents_have_unit_scale_and_come_back() {
    let raw = LatentsConfig { folder: tiny("rae/latents"), shape: [8, 4, 4], posterior: false, scale: 1.0, ..sit() };
    let config = LatentsConfig { normalization: Some(tiny("rae/stat.safetensors")), ..raw.clone() };
    let split = config.open().unwrap();
    let items = [all(&split.train), all(&split.held_out)].concat();
    let (mean, deviation) = moments(&items);
    assert!(mean.abs() < 1e-5 && (0.5..1.0).contains(&deviation), "{mean} {deviation}");
    let device = Device::flex();
    let (normal, none) = stack_latents(&items, [8, 4, 4], &device);
    assert!(none.is_none());
    let plain = raw.open().unwrap();
    let (latents, _) = stack_latents(&[all(&plain.train), all(&plain.held_out)].concat(), [8, 4, 4], &device);
    let distance = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();
    assert!(distance(split.scaling.to_latents(normal.clone()), latents.clone()) < 1e-6);
    assert!(distance(split.scaling.to_network(latents), normal) < 1e-6);
    let wrong = LatentsConfig { normalization: Some(tiny("sd35/text/null.safetensors")), ..raw };
    assert!(message(wrong.open()).contains("null.safetensors: has no tensor `mean`"));
}

#[test]
fn prompts_stand_beside_their_latents() {
    let config = LatentsConfig {
        folder: tiny("sd35/latents"),
        shape: [16, 8, 8],
        posterior: false,
        scale: 1.5305,
        shift: 0.0609,
        text: Some(tiny("sd35/text")),
        ..sit()
    };
    let split = config.open().unwrap();
    let items = all(&split.train);
    let (mean, deviation) = moments(&items);
    assert!(mean.abs() < 0.1 && (deviation - 1.0).abs() < 0.1, "{mean} {deviation}");
    let device = Device::flex();
    let (context, pooled) = stack_texts(&items, &device).unwrap();
    assert_eq!((context.dims(), pooled.dims()), ([20, 7, 40], [20, 24]));
    assert_eq!(items[0].text, items[10].text);
    assert_ne!(items[0].text, items[1].text);
    let null = split.null_text.unwrap();
    assert_eq!((null.context.shape, null.pooled.shape), (vec![7, 40], vec![24]));
    assert!(stack_texts(&all(&sit().open().unwrap().train), &device).is_none());
    assert_eq!(LatentsConfig { classes: 0, ..config }.open().unwrap().train.labels(), [0; 20]);
}

#[test]
fn an_absent_or_damaged_file_is_an_error_that_names_it() {
    let (folder, config) = copied();
    let split = config.open().unwrap();
    let file = folder.path().join("00000/img-mean-std-00000002.npy");
    let bytes = std::fs::read(&file).unwrap();
    let get = || split.train.get(2).unwrap_err().to_string();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        assert!(get().contains("00000002.npy: "), "{}", get());
    }
    let mut infinite = bytes.clone();
    infinite[128..132].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&file, infinite).unwrap();
    assert!(get().ends_with("00000002.npy: holds inf"), "{}", get());
    std::fs::remove_file(&file).unwrap();
    assert!(get().contains("00000002.npy: "), "{}", get());
    assert!(split.train.get(1).is_ok());
    assert!(message(LatentsConfig { shape: [8, 8, 8], ..config }.open()).contains("[8, 8, 8]: must be [16, 8, 8]"));
    assert!(matches!(LatentsConfig { folder: "/nowhere".into(), ..sit() }.open(), Err(Error::Io { .. })));
}

#[test]
fn a_loader_yields_keyed_batches_and_an_absent_file_as_an_error() {
    let (folder, config) = copied();
    let split = config.open().unwrap();
    let batcher = LatentBatcher::new([4, 8, 8], stack_labels);
    let loader =
        EpochLoader::training(split.train, batcher, &Device::flex()).with_batch_size(5).with_seed(1).build().unwrap();
    let batches: Vec<_> = loader.iter().map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), 4);
    for FlowBatch { data, deviation, condition, keys, .. } in batches {
        assert_eq!((data.dims(), condition.dims(), keys.unwrap().len()), ([5, 4, 8, 8], [5], 5));
        assert_eq!(deviation.unwrap().dims(), data.dims());
    }
    std::fs::remove_file(folder.path().join("00000/img-mean-std-00000007.npy")).unwrap();
    let results: Vec<_> = loader.iter().collect();
    let errors: Vec<String> = results.into_iter().filter_map(|r| r.err()).map(|e| e.to_string()).collect();
    assert!(errors.len() == 1 && errors[0].contains("img-mean-std-00000007.npy"), "{errors:?}");
}

#[test]
fn features_that_are_not_finite_and_mistaken_sizes_are_errors() {
    let (folder, config) = copied();
    let features = tempfile::tempdir().unwrap();
    for (i, name) in listing::arrays(&tiny("repa/features")).unwrap().into_iter().enumerate() {
        let mut bytes = std::fs::read(tiny("repa/features").join(name)).unwrap();
        if i == 2 {
            bytes[128..130].copy_from_slice(&[0, 0x7E]);
        }
        std::fs::write(features.path().join(format!("{i:08}.npy")), bytes).unwrap();
    }
    let split = LatentsConfig { features: vec![features.path().into()], ..config.clone() }.open().unwrap();
    assert!(split.train.get(1).is_ok());
    assert!(split.train.get(2).unwrap_err().to_string().ends_with("00000002.npy: holds NaN"));
    // Nothing of this size could be allocated.
    let huge = LatentsConfig { shape: [1 << 16; 3], ..config };
    assert!(message(huge.open()).contains("must be [131072, 65536, 65536]"));
    drop(folder);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_and_folders_linked_into_themselves_are_errors() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    assert!(message(listing::arrays(folder.path())).contains("linked into itself"));
    std::fs::remove_file(folder.path().join("again")).unwrap();
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xFF.npy")), b"").unwrap();
    assert!(message(listing::arrays(folder.path())).contains("not UTF-8"));
}

#[test]
fn a_wrong_list_is_an_error() {
    let (folder, config) = copied();
    let list = folder.path().join("dataset.json");
    let good = std::fs::read_to_string(&list).unwrap();
    for (text, says) in [
        ("{}".to_string(), "no labels"),
        ("[".to_string(), "dataset.json"),
        (good.replace("0.npy\", 0]", "0.npy\", 10]"), "has label 10: must be in 0..10"),
        (good.replace("00000001.npy", "00000000.npy"), "listed twice"),
    ] {
        std::fs::write(&list, text).unwrap();
        let message = message(config.open());
        assert!(message.contains(says), "{message}");
    }
    let features = |folder: PathBuf| message(LatentsConfig { features: vec![folder], ..sit() }.open());
    let few = tempfile::tempdir().unwrap();
    assert!(features(few.path().to_path_buf()).contains("holds 0 files for 24 latents"));
    std::fs::rename(folder.path().join("00000/img-mean-std-00000023.npy"), folder.path().join("00000/x-00000099.npy"))
        .unwrap();
    let moved = features(folder.path().to_path_buf());
    assert!(moved.contains("stands at the place of 00000/img-mean-std-00000023.npy"), "{moved}");
}
