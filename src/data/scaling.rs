//! From the numbers on disk to those a network sees, and back.
use super::{Array, LatentsConfig};
use crate::{Error, Result};
use burn::tensor::{Tensor, TensorData};
use std::path::Path;

/// What RAE adds to the variance.
const EPSILON: f64 = 1e-5;

/// `x = ((z − shift)·scale − mean) / √(var + 1e-5)`; without a file of statistics, `x = (z − shift)·scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    shape: [usize; 3],
    /// x = z·factor + offset, one pair per element.
    factor: Vec<f32>,
    offset: Vec<f32>,
}

impl Scaling {
    /// The network sees items of `shape = [C, H, W]` as they are stored.
    pub fn identity(shape: [usize; 3]) -> Self {
        let count = shape.iter().product();
        Self { shape, factor: vec![1.0; count], offset: vec![0.0; count] }
    }

    /// Factors and offsets of pictures or latents, where elements have their own.
    pub(super) fn statistics(&self) -> Option<[&[f32]; 2]> {
        let [_, height, width] = self.shape;
        let differ = |numbers: &[f32]| numbers.iter().any(|number| *number != numbers[0]);
        (height * width > 1 && (differ(&self.factor) || differ(&self.offset))).then_some([&self.factor, &self.offset])
    }

    /// `x = z·factor + offset`, one pair per element of `shape`.
    pub(super) fn affine(shape: [usize; 3], factor: Vec<f32>, offset: Vec<f32>) -> Self {
        Self { shape, factor, offset }
    }

    /// Reads the statistics the configuration names: `mean` and `var`, each of the shape of a latent or one number
    /// per channel, in a `.safetensors` or PyTorch file, or as `mean.npy` and `var.npy` in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming the file.
    pub fn of_latents(config: &LatentsConfig) -> Result<Self> {
        let shape = config.shape;
        let count = shape.iter().product();
        let (scale, shift) = (config.scale, config.shift);
        let [mean, deviation] = match &config.normalization {
            Some(file) => statistics(file, shape)?,
            None => [vec![0.0; count], vec![1.0; count]],
        };
        let pairs = mean.iter().zip(deviation).map(|(mean, deviation)| {
            let factor = scale / deviation;
            (factor as f32, (-shift * factor - mean / deviation) as f32)
        });
        let (factor, offset) = pairs.unzip();
        Ok(Self { shape, factor, offset })
    }

    /// Scales the values of one latent.
    pub(in crate::data) fn mean(&self, values: &mut [f32]) {
        for ((value, factor), offset) in values.iter_mut().zip(&self.factor).zip(&self.offset) {
            *value = *value * factor + offset;
        }
    }

    /// Scales the standard deviations of one latent.
    pub(in crate::data) fn deviation(&self, values: &mut [f32]) {
        for (value, factor) in values.iter_mut().zip(&self.factor) {
            *value *= factor.abs();
        }
    }

    /// Items `[batch, C, H, W]` as they are stored, to what the network sees.
    pub fn to_network(&self, stored: Tensor<4>) -> Tensor<4> {
        let [factor, offset] = self.tensors(&stored);
        stored * factor + offset
    }

    /// What the network sees or makes `[batch, C, H, W]`, to numbers as they are stored: latents as a decoder takes them.
    pub fn to_stored(&self, samples: Tensor<4>) -> Tensor<4> {
        let [factor, offset] = self.tensors(&samples);
        (samples - offset) / factor
    }

    fn tensors(&self, like: &Tensor<4>) -> [Tensor<4>; 2] {
        let [c, h, w] = self.shape;
        [&self.factor, &self.offset].map(|values| {
            Tensor::from_data(TensorData::new(values.clone(), [1, c, h, w]), (&like.device(), like.dtype()))
        })
    }
}

/// Mean and standard deviation, one number per element.
fn statistics(file: &Path, shape: [usize; 3]) -> Result<[Vec<f64>; 2]> {
    let [mean, var] = if file.is_dir() {
        [Array::read(&file.join("mean.npy"))?, Array::read(&file.join("var.npy"))?]
    } else {
        Array::read_named(file, ["mean", "var"])?
    };
    let [channels, height, width] = shape;
    let spread = |name: &str, array: Array| {
        let sides: Vec<usize> = array.shape.iter().copied().skip_while(|side| *side == 1).collect();
        if array.values.len() == channels && sides.first() == Some(&channels) {
            return Ok(array.values.iter().flat_map(|v| std::iter::repeat_n(*v, height * width)).collect());
        }
        if array.values.len() == channels * height * width && array.shape.ends_with(&shape) {
            return Ok(array.values);
        }
        Err(Error::format(file, format!("`{name}` has shape {:?}: must be {shape:?} or [{channels}]", array.shape)))
    };
    let (mean, var): (Vec<f32>, Vec<f32>) = (spread("mean", mean)?, spread("var", var)?);
    if !mean.iter().all(|v| v.is_finite()) || !var.iter().all(|v| v.is_finite() && *v >= 0.0) {
        return Err(Error::format(file, "`mean` must be finite, `var` finite and at least 0"));
    }
    let mean = mean.into_iter().map(f64::from).collect();
    Ok([mean, var.into_iter().map(|v| (f64::from(v) + EPSILON).sqrt()).collect()])
}
