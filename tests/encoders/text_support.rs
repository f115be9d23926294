//! What the tests of text encoders share: recorded numbers, and files of weights that are a formula of their names.
use crate::device::slack;
use crate::formula;
use burn::tensor::{DType, Shape, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Names and shapes of tensors.
pub type Names = Vec<(String, Vec<usize>)>;

/// Of hidden states every so many tokens and channels are recorded.
const STEP: [usize; 2] = [11, 17];

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders").join(name)
}

pub fn json() -> Value {
    serde_json::from_slice(&std::fs::read(path("text.json")).expect("text.json")).expect("text.json")
}

/// Recorded names and shapes.
pub fn names(of: &str) -> Names {
    serde_json::from_value(json()["names"][of].clone()).expect("names and shapes")
}

/// The recorded arrays.
pub struct Golden(Vec<u8>);

impl Golden {
    pub fn read() -> Self {
        Self(std::fs::read(path("text.safetensors")).expect("text.safetensors"))
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let stored = SafeTensors::deserialize(&self.0).expect("safetensors");
        let view = stored.tensor(name).expect(name);
        let bytes = view.data();
        match view.dtype() {
            Dtype::F32 => {
                bytes.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("4 bytes")))).collect()
            }
            Dtype::F64 => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect(),
            Dtype::I64 => bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")) as f64).collect(),
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.0).expect("safetensors").tensor(name).is_ok()
    }

    /// Rows of tokens.
    pub fn tokens(&self, name: &str) -> Vec<Vec<u32>> {
        let stored = SafeTensors::deserialize(&self.0).expect("safetensors");
        let length = stored.tensor(name).expect(name).shape()[1];
        let numbers: Vec<u32> = self.numbers(name).into_iter().map(|token| token as u32).collect();
        numbers.chunks(length).map(<[u32]>::to_vec).collect()
    }

    /// Fails unless vectors `[batch, width]` have the recorded part, mean and mean square.
    pub fn check(&self, name: &str, found: Tensor<2>, tolerance: f64) {
        self.check_hidden(name, found.unsqueeze_dim(1), tolerance);
    }

    /// Fails unless hidden states have the recorded part, mean and mean square.
    pub fn check_hidden(&self, name: &str, found: Tensor<3>, tolerance: f64) {
        let [batch, tokens, width] = found.dims();
        let all = values(found);
        let count = all.len() as f64;
        let [mean, square] = [1, 2].map(|power| all.iter().map(|v| v.powi(power)).sum::<f64>() / count);
        let recorded = self.numbers(&format!("{name}.mean"));
        close(&format!("{name}.square"), &[square], &recorded[1..], tolerance);
        let scale = square.sqrt();
        assert!(
            (mean - recorded[0]).abs() <= tolerance * slack() * scale,
            "{name}.mean: {mean} instead of {}",
            recorded[0]
        );
        let mut part = Vec::new();
        for row in 0..batch {
            for token in (0..tokens).step_by(STEP[0]) {
                part.extend((0..width).step_by(STEP[1]).map(|channel| all[(row * tokens + token) * width + channel]));
            }
        }
        close(name, &part, &self.numbers(&format!("{name}.part")), tolerance);
    }
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The largest difference over the largest expected entry.
pub fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    found
        .iter()
        .zip(expected)
        .map(|(f, e)| (f - e).abs() / largest)
        .fold(0.0, |a, d| if d.is_nan() { d } else { a.max(d) })
}

/// Fails where a difference exceeds `tolerance` times the largest expected entry, or is not a number.
pub fn close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let difference = distance(found, expected);
    assert!(difference <= tolerance * slack(), "{name}: {difference:e} of the largest entry");
}

/// A tensor of a file: its name, the type of its numbers, its shape and its numbers.
pub struct Part {
    pub name: String,
    pub data: TensorData,
}

/// The tensors of `names`, of the formula; those of which `is_table` is true are tables.
pub fn parts(names: &[(String, Vec<usize>)], is_table: fn(&str) -> bool, dtype: DType) -> Vec<Part> {
    let part = |(name, shape): &(String, Vec<usize>)| {
        let values = formula::weight(name, shape, is_table(name));
        Part { name: name.clone(), data: TensorData::new(values, Shape::from(shape.clone())).convert_dtype(dtype) }
    };
    names.iter().map(part).collect()
}

/// A safetensors file of `parts`.
pub fn write(file: &Path, parts: &[Part]) {
    let dtype = |data: &TensorData| match data.dtype() {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        other => panic!("{other:?}"),
    };
    let views = parts.iter().map(|part| {
        let view = TensorView::new(dtype(&part.data), part.data.shape().to_vec(), part.data.as_bytes());
        (part.name.as_str(), view.expect("a tensor"))
    });
    safetensors::serialize_to_file(views, None, file).expect("a file");
}
