//! The parameters of a frozen text encoder, made one by one under official names: from a file, or from a seed.
use crate::Result;
use crate::models::layers::{Law, WeightInit};
use crate::models::weights::{ImportReport, Stream};
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Element, Shape, Tensor, TensorData, bf16};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Where a parameter is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The name of the tensor there.
    pub(super) name: String,
    /// What of it the parameter is.
    pub(super) part: FilePart,
}

/// What of a tensor in a file is a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilePart {
    /// All of it.
    All,
    /// The first, second or third third of its rows.
    Third(usize),
    /// All of it, a matrix that is `[inputs, outputs]` in the file.
    Turned,
}

/// Makes parameters that nobody trains.
pub(super) enum TextWeights<'a> {
    /// Values that are a pure function of a seed and of the order in which they are asked for.
    Seeded(WeightInit),
    /// Values of a file.
    Stored(&'a mut FileWeights),
}

/// Values of a file, read when they are asked for.
pub(super) struct FileWeights {
    stream: Stream,
    /// Where the official parameter of a name is.
    place: fn(&str) -> Place,
    /// Tensors that were read, of which so many more thirds are to be asked for.
    cut: BTreeMap<String, (TensorData, usize)>,
    dtype: DType,
    device: Device,
}

impl TextWeights<'_> {
    /// From seed 0, as f32.
    pub(super) fn seeded(device: &Device) -> Self {
        Self::Seeded(WeightInit::new(0, device))
    }

    /// A table of `rows` vectors of `width`, N(0, std²) from a seed.
    pub(super) fn table(&mut self, name: &str, [rows, width]: [usize; 2], std: f64) -> Result<Param<Tensor<2>>> {
        match self {
            Self::Seeded(init) => Ok(init.weight([rows, width], rows, width, Law::Normal { std }).no_grad()),
            Self::Stored(file) => file.parameter(name),
        }
    }

    /// The matrix `[inputs, outputs]` of a linear layer, which official code stores as `[outputs, inputs]`; N(0, std²) from a
    /// seed.
    pub(super) fn matrix(&mut self, name: &str, [inputs, outputs]: [usize; 2], std: f64) -> Result<Param<Tensor<2>>> {
        match self {
            Self::Seeded(init) => Ok(init.weight([inputs, outputs], inputs, outputs, Law::Normal { std }).no_grad()),
            Self::Stored(file) => file.matrix(name, [inputs, outputs]),
        }
    }

    /// A vector of `width` values that are all `start` from a seed.
    pub(super) fn vector(&mut self, name: &str, width: usize, start: f32) -> Result<Param<Tensor<1>>> {
        match self {
            Self::Seeded(init) => Ok(init.constant(vec![start; width], [width]).no_grad()),
            Self::Stored(file) => file.parameter(name),
        }
    }

    /// The linear layer whose parameters are `name.weight` and `name.bias`.
    pub(super) fn linear(&mut self, name: &str, sides: [usize; 2], std: f64) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), sides, std)?;
        Ok(Linear { weight, bias: Some(self.vector(&format!("{name}.bias"), sides[1], 0.0)?) })
    }
}

impl FileWeights {
    /// The tensors of `stream`, where `place` says, as numbers of type `dtype` on `device`.
    pub(super) fn new(stream: Stream, place: fn(&str) -> Place, dtype: DType, device: &Device) -> Self {
        Self { stream, place, cut: BTreeMap::new(), dtype, device: device.clone() }
    }

    /// What was read.
    pub(super) fn report(self) -> ImportReport {
        self.stream.report()
    }

    fn parameter<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>> {
        let place = (self.place)(name);
        let data = self.part(place)?;
        Ok(self.made(data))
    }

    fn matrix(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<Param<Tensor<2>>> {
        let place = (self.place)(name);
        let is_turned = place.part == FilePart::Turned;
        let data = self.part(place)?;
        let data = if is_turned { data } else { turned(data, [outputs, inputs]) };
        Ok(self.made(data))
    }

    /// Reads a part of a tensor of the file.
    fn part(&mut self, Place { name, part }: Place) -> Result<TensorData> {
        let FilePart::Third(third) = part else { return self.stream.read(&name) };
        let (whole, left) = match self.cut.remove(&name) {
            Some(cut) => cut,
            None => (self.stream.read(&name)?, 3),
        };
        let rows = a_third(&whole, third);
        if left > 1 {
            self.cut.insert(name, (whole, left - 1));
        }
        Ok(rows)
    }

    fn made<const D: usize>(&self, data: TensorData) -> Param<Tensor<D>> {
        Param::initialized(ParamId::new(), Tensor::from_data(data, (&self.device, self.dtype)))
    }
}

/// One third of the rows.
fn a_third(whole: &TensorData, third: usize) -> TensorData {
    let mut shape = whole.shape().to_vec();
    shape[0] /= 3;
    let bytes = whole.as_bytes();
    let length = bytes.len() / 3;
    let rows = bytes[third * length..(third + 1) * length].to_vec();
    TensorData::from_bytes_vec(rows, Shape::from(shape), whole.dtype())
}

/// The transpose of `[rows, columns]`.
fn turned(data: TensorData, sides: [usize; 2]) -> TensorData {
    match data.dtype() {
        DType::BF16 => turned_as::<bf16>(&data, sides),
        _ => turned_as::<f32>(&data, sides),
    }
}

/// Rows and columns of a block that stays in the caches.
const BLOCK: usize = 32;

fn turned_as<E: Element + Default>(data: &TensorData, [rows, columns]: [usize; 2]) -> TensorData {
    let values = data.as_slice::<E>().expect("numbers of the type of the data");
    let mut turned = vec![E::default(); values.len()];
    turned.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(block, band)| {
        let first = block * BLOCK;
        for row in (0..rows).step_by(BLOCK) {
            for (column, line) in band.chunks_exact_mut(rows).enumerate() {
                for (row, value) in line.iter_mut().enumerate().skip(row).take(BLOCK) {
                    *value = values[row * columns + first + column];
                }
            }
        }
    });
    TensorData::new(turned, [columns, rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_every_size_are_transposed() {
        for [rows, columns] in [[1, 1], [3, 5], [32, 33], [70, 31], [129, 64]] {
            let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let data = TensorData::new(values.clone(), [rows, columns]);
            let rounded = data.clone().convert_dtype(DType::BF16);
            let found = turned(data, [rows, columns]);
            let view = found.as_slice::<f32>().unwrap();
            for (i, value) in view.iter().enumerate() {
                assert_eq!(*value, values[i % rows * columns + i / rows]);
            }
            assert_eq!(turned(rounded, [rows, columns]), found.convert_dtype(DType::BF16));
        }
    }

    #[test]
    fn thirds_are_rows() {
        let data = TensorData::new((0..12).map(|i| i as f32).collect(), [6, 2]);
        assert_eq!(a_third(&data, 1), TensorData::new(vec![4.0_f32, 5.0, 6.0, 7.0], [2, 2]));
        let vector = TensorData::new((0..3).map(|i| i as f32).collect(), [3]);
        assert_eq!(a_third(&vector, 2), TensorData::new(vec![2.0_f32], [1]));
    }
}
