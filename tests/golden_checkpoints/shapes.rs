use super::CHECKPOINTS;
use crate::{json, path};
use burn_mixflow::data::Array;
use burn_mixflow::models::weights::{WeightSource, detect, tensor_shapes};
use std::collections::BTreeMap;

/// Names and shapes that the manifest records of a file.
fn recorded(system: &str, file: &str) -> BTreeMap<String, Vec<usize>> {
    let manifest = json("manifest.json");
    let tensors = manifest["systems"][system]["files"][file]["tensors"].as_object().expect(file).clone();
    let shape = |(name, entry): (String, serde_json::Value)| {
        let shape = serde_json::from_value(entry[1].clone()).expect(file);
        (name, shape)
    };
    tensors.into_iter().map(shape).collect()
}

#[test]
fn of_both_sets_of_every_official_checkpoint() {
    for (file, system, same) in CHECKPOINTS {
        let folder = file.split_once('/').expect("a folder").0;
        for source in [WeightSource::Auto, WeightSource::Raw, WeightSource::Ema] {
            let shapes = tensor_shapes(&path(file), source).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(shapes, recorded(folder, same), "{file} {source:?}");
            assert_eq!(detect(shapes.keys().map(String::as_str)), Some(system));
        }
    }
}

#[test]
fn without_the_prefix_of_a_component() {
    for file in ["sd35/modelA.safetensors", "sd35/modelB.safetensors"] {
        let shapes = tensor_shapes(&path(file), WeightSource::Auto).unwrap_or_else(|e| panic!("{e}"));
        let prefixed: BTreeMap<_, _> =
            shapes.iter().map(|(name, shape)| (format!("model.diffusion_model.{name}"), shape.clone())).collect();
        assert_eq!(prefixed, recorded("sd35", file));
        assert_eq!(detect(shapes.keys().map(String::as_str)), Some("SD3.5"));
    }
}

#[test]
fn of_a_model_kept_beside_other_arrays() {
    let file = "repa/qknorm.safetensors";
    let shapes = tensor_shapes(&path(file), WeightSource::Auto).unwrap_or_else(|e| panic!("{e}"));
    let recorded = recorded("repa_qknorm", file);
    assert!(!shapes.is_empty() && shapes.len() < recorded.len());
    assert!(shapes.iter().all(|(name, shape)| recorded[&format!("model.{name}")] == *shape));
    assert_eq!(detect(shapes.keys().map(String::as_str)), Some("REPA"));
}

#[test]
fn numbers_by_name() {
    let [raw, ema] = Array::read_named(&path("rae/ckpt.pt"), ["model.pos_embed", "ema.pos_embed"]).expect("two arrays");
    assert_eq!(raw.shape, ema.shape);
    assert_eq!(raw.values.len(), raw.shape.iter().product::<usize>());
    let error = Array::read_named(&path("rae/ckpt.pt"), ["mean", "var"]).unwrap_err().to_string();
    assert!(error.ends_with("has no tensor `mean`"), "{error}");
}
