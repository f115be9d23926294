//! The Fréchet distance equals the published evaluator's on stored features (see `tests/golden/manifest.json`).
use burn_mixflow::evaluate::{Moments, frechet_distance};
use safetensors::SafeTensors;
use std::path::PathBuf;

fn folder() -> PathBuf {
    std::env::var_os("MIXFLOW_GOLDEN")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from)
}

fn moments(file: &SafeTensors, name: &str) -> Moments {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), safetensors::Dtype::F64);
    let (values, []) = tensor.data().as_chunks::<8>() else { panic!("{name} has no whole number of values") };
    let rows: Vec<f32> = values.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect();
    let mut moments = Moments::new(tensor.shape()[1]);
    moments.push(&rows).unwrap();
    assert_eq!(moments.count(), tensor.shape()[0]);
    moments
}

#[test]
fn full_rank_and_rank_deficient_distances_equal_the_reference() {
    let bytes = std::fs::read(folder().join("fid/fid.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let manifest = std::fs::read_to_string(folder().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    for case in ["a", "b"] {
        let expected = manifest["systems"]["fid"]["adm_evaluator"][format!("fid_{case}")].as_f64().unwrap();
        let (sample, reference) = (moments(&file, &format!("{case}_sample")), moments(&file, &format!("{case}_ref")));
        let found = frechet_distance(&sample, &reference).unwrap();
        assert!((found - expected).abs() <= 1e-6 * expected, "{case}: {found}, expected {expected}");
    }
}
