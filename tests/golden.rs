//! Numbers from the official code against this crate. The folder `tests/golden`, or `MIXFLOW_GOLDEN`, holds them.
//! `MIXFLOW_TEST_DEVICE` computes on another device than the CPU, within 20 times the tolerance.
mod device;
mod golden_checkpoints;
mod golden_fid;
mod golden_paths;
mod golden_rae;
mod golden_repa;
mod golden_sd35;
mod golden_sit;
mod golden_support;

use burn::tensor::{Bytes, DType, Device, Int, Shape, Tensor, TensorData};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest accepted difference over the largest entry of the expected values.
const TOLERANCE: f64 = 1e-5;

/// A file of the golden folder.
fn path(name: &str) -> PathBuf {
    let folder = std::env::var_os("MIXFLOW_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    folder.join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).expect(name)).expect(name)
}

/// Shape and values of one recorded array.
#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// The arrays of one safetensors file.
struct Arrays(BTreeMap<String, Array>);

impl Arrays {
    fn golden(name: &str) -> Self {
        Self::read(&path(name))
    }

    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let stored = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let arrays = stored.iter().map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                safetensors::Dtype::F32 => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
                safetensors::Dtype::F64 => numbers(data, f64::from_le_bytes),
                safetensors::Dtype::F16 => halves(data, DType::F16),
                safetensors::Dtype::BF16 => halves(data, DType::BF16),
                safetensors::Dtype::U8 => numbers(data, |[b]: [u8; 1]| f64::from(b)),
                safetensors::Dtype::I64 => numbers(data, |b| i64::from_le_bytes(b) as f64),
                other => panic!("{name}: {other:?}"),
            };
            (name.to_string(), Array { shape: view.shape().to_vec(), values })
        });
        Self(arrays.collect())
    }

    fn get(&self, name: &str) -> &Array {
        self.0.get(name).unwrap_or_else(|| panic!("no `{name}`"))
    }

    fn scalar(&self, name: &str) -> f64 {
        self.get(name).values[0]
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let array = self.get(name);
        let values: Vec<f32> = array.values.iter().map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(values, Shape::from(array.shape.clone())), device)
    }

    fn labels(&self, name: &str, device: &Device) -> Tensor<1, Int> {
        let values: Vec<i64> = self.get(name).values.iter().map(|v| *v as i64).collect();
        Tensor::from_data(TensorData::from(values.as_slice()), device)
    }

    /// Fails unless `found` has the recorded shape and values.
    fn check<const D: usize>(&self, name: &str, found: Tensor<D>) {
        let array = self.get(name);
        assert_eq!(found.dims().to_vec(), array.shape, "{name}");
        close(name, &found.into_data().iter::<f64>().collect::<Vec<_>>(), &array.values, TOLERANCE);
    }
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.chunks_exact(N).map(|chunk| read(chunk.try_into().expect("a whole number"))).collect()
}

/// Numbers of two bytes.
fn halves(data: &[u8], dtype: DType) -> Vec<f64> {
    let bytes = Bytes::from_bytes_vec(data.to_vec());
    TensorData::from_bytes(bytes, Shape::from(vec![data.len() / 2]), dtype).iter::<f64>().collect()
}

/// Fails where a difference exceeds `tolerance` times the largest expected entry, or is not a number.
fn close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let tolerance = tolerance * device::slack();
    let largest = expected.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    assert!(largest.is_finite(), "{name}: nothing can be compared with {largest}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = (f - e).abs();
        assert!(difference <= tolerance * largest, "{name}[{i}]: {f} instead of {e} (largest {largest})");
    }
}

/// What is recorded but not compared, and why. `tests/python/mutate_golden.py` finds such arrays by changing them.
const OUT_OF_SCOPE: [(&str, &str); 3] = [
    ("repa/preproc: dino_*", "what DINOv2 reads: tests/encoders/dinov2.rs compares it"),
    ("rae/forward: mid.*", "activations inside of blocks, which have no public way out"),
    ("sit/forward: mid.*, force_drop_out", "activations inside of blocks, which have no public way out"),
];

#[test]
fn every_recorded_file_is_compared() {
    let mut sources = String::new();
    for folder in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).expect("tests").flatten() {
        if folder.file_name().to_string_lossy().starts_with("golden_") {
            for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
                sources.push_str(&std::fs::read_to_string(file.path()).expect("a source"));
            }
        }
    }
    let mut missing = Vec::new();
    for (system, recorded) in json("manifest.json")["systems"].as_object().expect("systems") {
        for file in recorded["files"].as_object().expect(system).keys() {
            let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
            if !sources.contains(file.as_str()) && !OUT_OF_SCOPE.iter().any(|(name, _)| name.starts_with(stem)) {
                missing.push(file.clone());
            }
        }
    }
    assert!(missing.is_empty(), "no test reads {missing:?}");
}
