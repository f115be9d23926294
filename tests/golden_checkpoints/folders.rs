use crate::{Arrays, TOLERANCE, close, path};
use burn::data::dataset::Dataset;
use burn::tensor::Tensor;
use burn_mixflow::data::{DataSplit, HeldOut, ImagesConfig, Item, LatentsConfig, Scaling, stack_data, stack_labels};
use std::path::Path;

fn config(folder: &Path, golden: &Arrays, name: &str, held_out: usize) -> LatentsConfig {
    let shape = &golden.get(name).shape;
    let [channels, height, width] = shape[shape.len() - 3..] else { panic!("{shape:?}") };
    LatentsConfig {
        folder: folder.to_path_buf(),
        shape: [channels / 2, height, width],
        classes: i32::MAX as usize,
        posterior: true,
        scale: 1.0,
        shift: 0.0,
        normalization: None,
        features: Vec::new(),
        text: None,
        held_out: HeldOut::Count(held_out),
        seed: 0,
        mirrors_from: None,
        max_bad_items: 0,
    }
}

/// The item whose name ends in the number, wherever the split put it.
fn item(split: &DataSplit, number: usize) -> Item {
    let name = format!("{number:08}.");
    let mut places = [&split.train, &split.held_out].into_iter().flat_map(|set| (0..set.len()).map(move |i| (set, i)));
    let (set, index) = places.find(|(set, index)| set.name(*index).contains(&name)).expect("an item");
    set.get(index).expect("a file")
}

/// Writes the list with a second item of the class of `file`, for of a class of one nothing is held out.
fn with_twin(folder: &Path, file: &str, mut list: serde_json::Value) {
    let labels = list["labels"].as_array_mut().expect("labels");
    let label = labels.iter().find(|pair| pair[0] == file).expect("the file")[1].clone();
    labels.push(serde_json::json!(["twin.npy", label]));
    std::fs::copy(folder.join(file), folder.join("twin.npy")).expect("a file");
    std::fs::write(folder.join("dataset.json"), list.to_string()).expect("a list");
}

#[test]
fn what_the_official_data_set_returns() {
    let golden = Arrays::golden("repa/dataset_expected.safetensors");
    let count = golden.0.keys().filter(|name| name.ends_with(".label")).count();
    let latents = tempfile::tempdir().expect("a folder");
    let source = path("repa/dataset/vae-sd");
    std::fs::create_dir(latents.path().join("00000")).expect("a folder");
    for entry in std::fs::read_dir(source.join("00000")).expect("a folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), latents.path().join("00000").join(entry.file_name())).expect("a file");
    }
    let list = std::fs::read_to_string(source.join("dataset.json")).expect("a list");
    with_twin(latents.path(), "00000/img-mean-std-00000000.npy", serde_json::from_str(&list).expect("JSON"));
    let split = config(latents.path(), &golden, "0.moments", 1).open().expect("a folder");
    assert_eq!(split.train.len() + split.held_out.len(), count + 1);
    let cache = tempfile::tempdir().expect("a folder");
    let size = golden.get("0.image").shape[1];
    let mut images = ImagesConfig::new(path("repa/dataset/images"), size);
    (images.held_out, images.cache) = (HeldOut::Count(1), Some(cache.path().into()));
    let images = images.open(&mut |_| ()).expect("a folder");
    for index in 0..count {
        let item = item(&split, index);
        let moments = [item.data, item.deviation.expect("a deviation")].concat();
        let moments: Vec<f64> = moments.into_iter().map(f64::from).collect();
        assert_eq!(moments, golden.get(&format!("{index}.moments")).values);
        assert_eq!(item.label as f64, golden.scalar(&format!("{index}.label")));
        let picture = self::item(&images, index).data;
        let bytes: Vec<f64> = picture.into_iter().map(|v| f64::from(((v + 1.0) * 127.5).round())).collect();
        assert_eq!(bytes, golden.get(&format!("{index}.image")).values);
    }
}

/// A `.npy` file as NumPy writes it.
fn save_npy(file: &Path, shape: &[usize], values: &[f64]) {
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}, {}), }}\n", shape[0], shape[1], shape[2]);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| (*v as f32).to_le_bytes()));
    std::fs::write(file, bytes).expect("a file");
}

#[test]
fn the_posterior_of_the_official_preprocessing() {
    let golden = Arrays::golden("repa/preproc.safetensors");
    let (moments, device) = (golden.get("moments"), crate::device::device());
    let (count, shape) = (moments.shape[0], &moments.shape[1..]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut labels = Vec::new();
    for (index, values) in moments.values.chunks(moments.values.len() / count).enumerate() {
        let name = format!("img-mean-std-{index:08}.npy");
        save_npy(&folder.path().join(&name), shape, values);
        labels.push((name, index));
    }
    with_twin(folder.path(), "img-mean-std-00000000.npy", serde_json::json!({ "labels": labels }));
    let config = LatentsConfig { scale: 0.18215, ..config(folder.path(), &golden, "moments", 1) };
    let split = config.open().expect("a folder");
    let items: Vec<_> = (0..count).map(|index| item(&split, index)).collect();
    let (mean, deviation) = stack_data(&items, config.shape, &device);
    let latent = mean + deviation.expect("a deviation") * golden.tensor::<4>("noise", &device);
    golden.check("latent", latent);
    let labels: Vec<usize> = stack_labels(&items, &device).into_data().iter::<i64>().map(|l| l as usize).collect();
    assert_eq!(labels, (0..count).collect::<Vec<_>>());
}

#[test]
fn latents_of_stable_diffusion_3() {
    let (golden, device) = (Arrays::golden("sd35/sampling.safetensors"), crate::device::device());
    let [_, c, h, w] = golden.get("noise").shape[..] else { panic!("four sides") };
    let config = LatentsConfig {
        folder: "unused".into(),
        shape: [c, h, w],
        classes: 0,
        posterior: false,
        scale: 1.5305,
        shift: 0.0609,
        normalization: None,
        features: Vec::new(),
        text: None,
        held_out: HeldOut::Count(1),
        seed: 0,
        mirrors_from: None,
        max_bad_items: 0,
    };
    let scaling = Scaling::of_latents(&config).expect("a scaling");
    let noise = golden.tensor::<4>("noise", &device);
    golden.check("process_in", scaling.to_network(noise.clone()));
    golden.check("process_out", scaling.to_stored(noise));
}

/// The scaling of the recorded statistics of RAE's latents.
pub fn rae_scaling(golden: &Arrays) -> Scaling {
    let shape = golden.get("latent_mean").shape.clone();
    let folder = tempfile::tempdir().expect("a folder");
    for (file, name) in [("mean.npy", "latent_mean"), ("var.npy", "latent_var")] {
        save_npy(&folder.path().join(file), &shape, &golden.get(name).values);
    }
    let config = LatentsConfig {
        folder: "unused".into(),
        shape: [shape[0], shape[1], shape[2]],
        classes: 0,
        posterior: false,
        scale: 1.0,
        shift: 0.0,
        normalization: Some(folder.path().into()),
        features: Vec::new(),
        text: None,
        held_out: HeldOut::Count(1),
        seed: 0,
        mirrors_from: None,
        max_bad_items: 0,
    };
    Scaling::of_latents(&config).expect("a scaling")
}

#[test]
fn latents_of_rae() {
    let (golden, device) = (Arrays::golden("rae/decoder.safetensors"), crate::device::device());
    let scaling = rae_scaling(&golden);
    let z: Tensor<4> = golden.tensor("z", &device);
    let found: Vec<f64> = scaling.to_stored(z).into_data().iter::<f64>().collect();
    let (mean, var, z) = (golden.get("latent_mean"), golden.get("latent_var"), golden.get("z"));
    let size = mean.values.len();
    let latent = |(i, z): (usize, &f64)| z * (var.values[i % size] + 1e-5).sqrt() + mean.values[i % size];
    close("latent", &found, &z.values.iter().enumerate().map(latent).collect::<Vec<_>>(), TOLERANCE);
}
