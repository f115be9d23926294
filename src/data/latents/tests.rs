use super::labels::arrays;
use super::*;
use crate::data::{
    Array, DataSet, DataSplit, HeldOut, Item, ItemBatcher, stack_data, stack_features, stack_labels, stack_texts,
};
use crate::random::SampleKey;
use crate::train::{EpochLoader, FlowBatch};
use crate::{Error, Result};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
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
        held_out: HeldOut::Count(4),
        seed: 0,
        mirrors_from: None,
        max_bad_items: 0,
    }
}

fn all(set: &DataSet) -> Vec<Item> {
    set.iter().map(|item| item.unwrap()).collect()
}

/// Mean and deviation over all values of all items.
fn moments(items: &[Item]) -> (f64, f64) {
    let values: Vec<f64> = items.iter().flat_map(|item| &item.data).map(|v| f64::from(*v)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
}

/// A copy of the SiT folder to damage.
fn copied() -> (tempfile::TempDir, LatentsConfig) {
    let target = tempfile::tempdir().unwrap();
    std::fs::create_dir(target.path().join("00000")).unwrap();
    for name in arrays(&sit().folder).unwrap().iter().map(String::as_str).chain(["dataset.json"]) {
        std::fs::copy(sit().folder.join(name), target.path().join(name)).unwrap();
    }
    let config = LatentsConfig { folder: target.path().to_path_buf(), ..sit() };
    (target, config)
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn a_mirror_is_held_out_and_set_aside_with_its_picture() {
    for held_out in [HeldOut::Count(6), HeldOut::Share(0.25)] {
        let config = LatentsConfig { classes: 0, mirrors_from: Some(12), held_out, ..sit() };
        let split = config.open().unwrap();
        let pictures = |set: &DataSet| -> Vec<usize> {
            let name = |index| set.name(index).trim_end_matches(".npy").rsplit('-').next().unwrap().to_string();
            (0..set.len()).map(|index| name(index).parse::<usize>().unwrap() % 12).collect()
        };
        let aside = split.set_aside().unwrap();
        assert_eq!((split.held_out.len(), split.train.len()), (6, 18));
        let sets = [&aside.train, &aside.held_out, &split.held_out].map(pictures);
        for (place, set) in sets.iter().enumerate() {
            // Each picture twice, and in one of the sets alone.
            assert!(set.iter().all(|one| set.iter().filter(|other| *other == one).count() == 2), "{set:?}");
            assert!(sets[..place].iter().all(|other| set.iter().all(|one| !other.contains(one))), "{sets:?}");
        }
    }
    let error = message(LatentsConfig { mirrors_from: Some(0), ..sit() }.open());
    assert!(error.contains("data.mirrors_from = 0: must be at least 1"), "{error}");
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
        held_out: HeldOut::Count(0),
        ..sit()
    };
    let paths: Vec<_> = broken.problems("d").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["d.folder", "d.shape", "d.scale", "d.shift", "d.features[0]", "d.text", "d.held_out"]);
    assert!(
        matches!(LatentsConfig { held_out: HeldOut::Count(24), ..sit() }.open(), Err(Error::Config(p)) if p.len() == 1)
    );
}

/// The item of a file, wherever the split put it.
fn item(split: &DataSplit, number: usize) -> Item {
    fetched(split, number).unwrap()
}

fn fetched(split: &DataSplit, number: usize) -> Result<Item, DatasetError> {
    let name = format!("{number:08}.");
    let sets = [&split.train, &split.held_out];
    let mut found = sets.into_iter().flat_map(|set| (0..set.len()).map(move |i| (set, i)));
    let (set, index) = found.find(|(set, index)| set.name(*index).contains(&name)).unwrap();
    set.get(index)
}

#[test]
fn items_of_every_class_are_held_out_and_values_are_scaled() {
    let split = sit().open().unwrap();
    // Of each of ten classes one.
    assert_eq!((split.train.len(), split.held_out.len()), (14, 10));
    let mut classes = split.held_out.labels().to_vec();
    classes.sort();
    assert_eq!(classes, (0..10).collect::<Vec<i64>>());
    assert!((0..24).all(|number| item(&split, number).label == (number % 10) as i64));
    let one = LatentsConfig { classes: 0, ..sit() }.open().unwrap();
    assert_eq!((one.train.len(), one.held_out.len()), (20, 4));
    let names: Vec<String> = (0..4).map(|i| one.held_out.name(i)).collect();
    assert_ne!(names[0], "00000/img-mean-std-00000020.npy", "the tail of the list");
    // Beyond the end lie the held out ones.
    assert!(split.train.get(14).unwrap_err().to_string().contains("item 14: must be below 14"));
    let items = [all(&split.train), all(&split.held_out)].concat();
    let (mean, deviation) = moments(&items);
    assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-5, "{mean} {deviation}");
    let range = |item: &Item| item.deviation.as_ref().unwrap().iter().all(|v| (0.009..0.028).contains(v));
    assert!(items.iter().all(|item| item.data.len() == 256 && range(item)));
    assert!(items.iter().all(|item| item.features.is_empty() && item.text.is_none() && !item.mirror));
}

#[test]
fn values_are_drawn_from_the_posterior_by_their_place_in_the_call() {
    let split = sit().open().unwrap();
    let values = split.held_out.values(&[3, 1]).unwrap();
    let keys = [0, 1].map(|position| SampleKey { seed: 0, epoch: u64::MAX, position });
    let items = vec![split.held_out.get(3).unwrap(), split.held_out.get(1).unwrap()];
    let batch = ItemBatcher::new([4, 8, 8], stack_labels).batch(items, &Device::flex());
    assert_eq!(values, batch.drawn(&keys).data.into_data().iter::<f32>().collect::<Vec<_>>());
}

#[test]
fn features_stand_beside_their_latents() {
    let features = tiny("repa/features");
    let config = LatentsConfig { folder: tiny("repa/vae-sd"), features: vec![features.clone(); 2], ..sit() };
    let split = config.open().unwrap();
    assert_eq!(split.features, [[16, 12]; 2]);
    let items: Vec<Item> = (0..5).map(|number| item(&split, number)).collect();
    let file = features.join("00000/img-feature-00000003.npy");
    assert_eq!(items[3].features, vec![Array::read(&file).unwrap(); 2]);
    let device = Device::flex();
    let batcher = ItemBatcher::new([4, 8, 8], |items: &[Item], device: &Device| {
        (stack_labels(items, device), stack_features(items, device))
    });
    let FlowBatch { data, deviation, condition: (labels, stacked), .. } = batcher.batch(items.clone(), &device);
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
    let (normal, none) = stack_data(&items, [8, 4, 4], &device);
    assert!(none.is_none());
    let plain = raw.open().unwrap();
    let (latents, _) = stack_data(&[all(&plain.train), all(&plain.held_out)].concat(), [8, 4, 4], &device);
    let distance = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f32>();
    assert!(distance(split.scaling.to_stored(normal.clone()), latents.clone()) < 1e-6);
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
    let items: Vec<Item> = (0..24).map(|number| item(&split, number)).collect();
    let (mean, deviation) = moments(&items);
    assert!(mean.abs() < 0.1 && (deviation - 1.0).abs() < 0.1, "{mean} {deviation}");
    let device = Device::flex();
    let (context, pooled) = stack_texts(&items, &device).unwrap();
    assert_eq!((context.dims(), pooled.dims()), ([24, 7, 40], [24, 24]));
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
    let get = || fetched(&split, 2).unwrap_err().to_string();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        assert!(get().contains("00000002.npy: "), "{}", get());
    }
    let mut infinite = bytes.clone();
    infinite[128..132].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&file, infinite).unwrap();
    assert!(get().ends_with("00000002.npy: holds inf at [0, 0, 0]"), "{}", get());
    std::fs::remove_file(&file).unwrap();
    assert!(get().contains("00000002.npy: "), "{}", get());
    assert!(fetched(&split, 1).is_ok());
    assert!(
        message(LatentsConfig { shape: [8, 8, 8], classes: 0, ..config }.open())
            .contains("[8, 8, 8]: must be [16, 8, 8]")
    );
    assert!(matches!(LatentsConfig { folder: "/nowhere".into(), ..sit() }.open(), Err(Error::Io { .. })));
}

#[test]
fn a_loader_yields_keyed_batches_and_an_absent_file_as_an_error() {
    let (folder, config) = copied();
    let split = LatentsConfig { classes: 0, ..config }.open().unwrap();
    let file = split.train.name(6);
    let batcher = ItemBatcher::new([4, 8, 8], stack_labels);
    let loader =
        EpochLoader::training(split.train, batcher, &Device::flex()).with_batch_size(5).with_seed(1).build().unwrap();
    let batches: Vec<_> = loader.iter().map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), 4);
    for FlowBatch { data, deviation, condition, keys, .. } in batches {
        assert_eq!((data.dims(), condition.dims(), keys.unwrap().len()), ([5, 4, 8, 8], [5], 5));
        assert_eq!(deviation.unwrap().dims(), data.dims());
    }
    std::fs::remove_file(folder.path().join(&file)).unwrap();
    let results: Vec<_> = loader.iter().collect();
    let errors: Vec<String> = results.into_iter().filter_map(|r| r.err()).map(|e| e.to_string()).collect();
    assert!(errors.len() == 1 && errors[0].contains(&file), "{errors:?}");
}

#[test]
fn features_that_are_not_finite_and_mistaken_sizes_are_errors() {
    let (folder, config) = copied();
    let features = tempfile::tempdir().unwrap();
    for (i, name) in arrays(&tiny("repa/features")).unwrap().into_iter().enumerate() {
        let mut bytes = std::fs::read(tiny("repa/features").join(name)).unwrap();
        if i == 2 {
            bytes[128..130].copy_from_slice(&[0, 0x7E]);
        }
        std::fs::write(features.path().join(format!("{i:08}.npy")), bytes).unwrap();
    }
    let split = LatentsConfig { features: vec![features.path().into()], ..config.clone() }.open().unwrap();
    assert!(fetched(&split, 1).is_ok());
    assert!(fetched(&split, 2).unwrap_err().to_string().ends_with("00000002.npy: holds NaN at [0, 0]"));
    // Nothing of this size could be allocated.
    let huge = LatentsConfig { shape: [1 << 16; 3], ..config };
    assert!(message(huge.open()).contains("must be [131072, 65536, 65536]"));
    drop(folder);
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
    assert!(features(few.path().to_path_buf()).contains("holds no .npy or .safetensors file; found: nothing"));
    std::fs::rename(folder.path().join("00000/img-mean-std-00000023.npy"), folder.path().join("00000/x-00000099.npy"))
        .unwrap();
    let moved = features(folder.path().to_path_buf());
    assert!(moved.contains("00000/img-mean-std-00000023.npy has no features"), "{moved}");
    assert!(moved.contains("00000/x-00000099.npy belongs to no latent"), "{moved}");
}

#[test]
fn listed_files_must_be_there_and_unlisted_ones_are_named() {
    let (folder, config) = copied();
    let file = |number: usize| folder.path().join(format!("00000/img-mean-std-{number:08}.npy"));
    std::fs::copy(file(0), folder.path().join("00000/._img.npy")).unwrap();
    std::fs::create_dir(folder.path().join(".ipynb_checkpoints")).unwrap();
    std::fs::copy(file(0), folder.path().join(".ipynb_checkpoints/img-checkpoint.npy")).unwrap();
    let split = LatentsConfig { classes: 0, ..config.clone() }.open().unwrap();
    assert_eq!((split.train.len() + split.held_out.len(), split.notes.len()), (24, 0));
    std::fs::copy(file(0), folder.path().join("further.npy")).unwrap();
    let notes = config.open().unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("1 file(s) are not listed") && notes[0].contains("further.npy"));
    for number in [3, 20] {
        std::fs::remove_file(file(number)).unwrap();
    }
    let error = message(config.open());
    for number in [3, 20] {
        assert!(error.contains(&format!("{number:08}.npy is listed but not there")), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("0.pt"), b"").unwrap();
    let error = message(LatentsConfig { folder: empty.path().into(), classes: 0, ..sit() }.open());
    assert!(error.contains("holds no .npy or .safetensors file; found: 1 .pt"), "{error}");
}

#[test]
fn negative_deviations_are_an_error_that_says_what_they_may_be() {
    let (folder, config) = copied();
    let split = config.open().unwrap();
    let file = folder.path().join("00000/img-mean-std-00000005.npy");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&(-5.5f32).to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let error = fetched(&split, 5).unwrap_err().to_string();
    assert!(error.contains("00000005.npy") && error.contains("-5.5") && error.contains("log-variances"), "{error}");
}
