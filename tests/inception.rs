//! The Inception v3 of FID and what is measured with it, against torch-fidelity; and from files, as a user has them.
//!
//! Weights and pictures are formulas of their names (`formula`), as `tests/python/record_encoders/inception.py` has them.
#[path = "inception/adm.rs"]
mod adm;
#[path = "inception/features.rs"]
mod features;
#[path = "inception/files.rs"]
mod files;
mod formula;
#[path = "inception/measures.rs"]
mod measures;
#[path = "inception/weights.rs"]
mod weights;

use burn::tensor::Device;
use burn_mixflow::models::encoders::inception::{Inception, InceptionConfig};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Factors of the formula's weights, so that features of 94 layers and classes differ.
const CONVOLUTION: f64 = std::f64::consts::SQRT_2;
const CLASSES: f64 = 16.0;

/// Tensors in f32 by their official names.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A recorded file.
fn golden(name: &str) -> PathBuf {
    let folder = std::env::var_os("MIXFLOW_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    folder.join("encoders").join(name)
}

/// The weights by formula.
fn tensors(config: &InceptionConfig) -> Tensors {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let factor = match name.as_str() {
            "fc.weight" => CLASSES,
            name if name.ends_with("conv.weight") => CONVOLUTION,
            _ => 1.0,
        };
        let values = formula::weight(&name, &shape, false);
        let values = values.into_iter().map(|w| (f64::from(w) * factor) as f32).collect();
        (name, (shape, values))
    };
    config.parameters().into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).map(tensor).collect()
}

/// Writes a file of weights.
fn save(file: &Path, tensors: &Tensors) {
    let bytes: Vec<Vec<u8>> =
        tensors.values().map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::new();
    for ((name, (shape, _)), bytes) in tensors.iter().zip(&bytes) {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    }
    safetensors::serialize_to_file(views, None, file).unwrap();
}

/// The network of these weights, through a file.
fn network(config: &InceptionConfig) -> Inception {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    save(&file, &tensors(config));
    Inception::load(&file, &Device::flex()).unwrap_or_else(|e| panic!("{e}"))
}

/// The network of a sixteenth of the width, for what does not depend on it.
fn narrow() -> Inception {
    network(&InceptionConfig { width_divisor: 16 })
}

/// Bytes `[count, height, width, 3]` in [0, 256 · contrast): colours of blocks of 8×8 pixels, and noise.
fn pictures(name: &str, count: usize, [height, width]: [usize; 2], contrast: f64) -> Vec<u8> {
    let (rows, columns) = (height.div_ceil(8), width.div_ceil(8));
    let blocks = formula::uniforms(&format!("{name}.blocks"), count * rows * columns * 3);
    let noise = formula::uniforms(&format!("{name}.noise"), count * height * width * 3);
    let byte = |i: usize| {
        let (picture, y, x, colour) = (i / (height * width * 3), i / (width * 3) % height, i / 3 % width, i % 3);
        let block = blocks[((picture * rows + y / 8) * columns + x / 8) * 3 + colour];
        (256.0 * contrast * (0.75 * block + 0.25 * noise[i])).floor() as u8
    };
    (0..noise.len()).map(byte).collect()
}

/// Fails where a difference exceeds `tolerance` times the largest expected entry.
fn close(name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0f64, |a, v| a.max(f64::from(v.abs())));
    assert!(largest > 0.0 && largest.is_finite(), "{name}: nothing can be compared with {largest}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = f64::from(f - e).abs();
        assert!(difference <= tolerance * largest, "{name}[{i}]: {f} instead of {e} (largest {largest})");
    }
}
