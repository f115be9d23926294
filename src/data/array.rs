//! Arrays of numbers in files, read as f32.
use super::npy;
use crate::tensor_file::read_numbers;
use crate::{Error, Result};
use burn::tensor::TensorData;
use std::io::Read;
use std::path::Path;

/// Finite numbers in row-major order and their shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// As many values as the product of the shape.
    pub values: Vec<f32>,
}

impl Array {
    /// The array in a `.npy` file, or the only tensor of a `.safetensors` file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it holds anything else or a number that is not finite
    /// in f32.
    pub fn read(file: &Path) -> Result<Self> {
        if file.extension().is_some_and(|e| e == "safetensors") {
            let mut tensors = read_numbers(file, |_| true)?;
            return match (tensors.pop_first(), tensors.is_empty()) {
                (Some((_, data)), true) => Self::of(file, data),
                _ => Err(Error::format(file, "must hold one tensor")),
            };
        }
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
        Self::of(file, npy::parse(&bytes).map_err(|message| Error::format(file, message))?)
    }

    /// The arrays called `names` in a safetensors or PyTorch file, in that order.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::Format`] if one is not there.
    pub fn read_named<const N: usize>(file: &Path, names: [&str; N]) -> Result<[Self; N]> {
        let mut tensors = read_numbers(file, |name| names.contains(&name))?;
        let mut take = |name: &str| {
            let data = tensors.remove(name).ok_or_else(|| Error::format(file, format!("has no tensor `{name}`")))?;
            Self::of(file, data)
        };
        let arrays = names.map(&mut take).into_iter().collect::<Result<Vec<_>>>()?;
        arrays.try_into().map_err(|_| Error::format(file, "has too few tensors"))
    }

    /// The type and shape of the array of [`read`](Self::read), without its numbers.
    pub(in crate::data) fn header(file: &Path) -> Result<(String, Vec<usize>)> {
        if file.extension().is_some_and(|e| e == "safetensors") {
            let tensors = crate::tensor_file::open(file)?;
            let first = tensors.values().next().ok_or_else(|| Error::format(file, "must hold one tensor"))?;
            return Ok((first.type_name.to_lowercase(), first.shape.clone()));
        }
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
        opened.take(npy::LONGEST_HEADER).read_to_end(&mut bytes).map_err(|e| Error::io(file, e))?;
        let header = npy::header(&bytes).map_err(|message| Error::format(file, message))?;
        Ok((format!("{:?}", header.dtype).to_lowercase(), header.shape))
    }

    fn of(file: &Path, data: TensorData) -> Result<Self> {
        let shape = data.shape().to_vec();
        if !data.dtype().is_float() {
            return Err(Error::format(file, format!("holds {:?}: must be floats", data.dtype())));
        }
        let values = data.try_into_vec_as::<f32>().map_err(|e| Error::format(file, e.to_string()))?;
        let wrong: Vec<usize> = (0..values.len()).filter(|place| !values[*place].is_finite()).collect();
        match wrong[..] {
            [] => Ok(Self { shape, values }),
            [first, ref others @ ..] => {
                let more =
                    if others.is_empty() { String::new() } else { format!(", and {} more like it", others.len()) };
                let (value, at) = (values[first], coordinates(first, &shape));
                Err(Error::format(file, format!("holds {value} at {at:?}{more}")))
            }
        }
    }

    /// Fails unless this array, read from `file`, has the `shape`.
    pub(in crate::data) fn of_shape(self, shape: &[usize], file: &Path) -> Result<Self> {
        if self.shape == shape {
            return Ok(self);
        }
        Err(Error::format(file, format!("has shape {:?}: must be {shape:?}", self.shape)))
    }
}

/// The coordinates of the value at a place in row-major order.
fn coordinates(place: usize, shape: &[usize]) -> Vec<usize> {
    let (mut rest, mut found) = (place, Vec::new());
    for side in shape.iter().rev().map(|side| (*side).max(1)) {
        found.push(rest % side);
        rest /= side;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_coordinates() {
        let [shape, scalar] = [&[2, 3, 4][..], &[]];
        assert_eq!((coordinates(23, shape), coordinates(5, shape)), (vec![1, 2, 3], vec![0, 1, 1]));
        assert!(coordinates(0, scalar).is_empty());
    }
}
