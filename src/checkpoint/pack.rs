//! Looks into a burnpack file before anything is made of it.
use super::identity::Architecture;
use crate::{Error, Result};
use burn::store::burn_pack::Reader;
use burn::tensor::{Bytes, DType};
use std::collections::BTreeMap;
use std::path::Path;

/// The names, shapes and types in a file.
#[derive(Debug, Default)]
pub(super) struct Pack {
    tensors: Vec<PackedTensor>,
    ranks: BTreeMap<u64, usize>,
}

#[derive(Debug)]
struct PackedTensor {
    name: String,
    param: Option<u64>,
    dtype: DType,
    shape: Vec<usize>,
    finite: bool,
}

impl Pack {
    /// Opens the bytes of `file`.
    ///
    /// # Errors
    /// [`Error::Format`] if they are no burnpack.
    pub fn open(file: &Path, bytes: Bytes) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| Error::format(file, format!("damaged: {error}"));
        let reader = Reader::from_bytes(bytes).map_err(|e| wrong(&e))?;
        let rank = |(name, value): (&String, &_)| {
            let id = name.strip_suffix(".__rank")?.parse().ok()?;
            Some((id, usize::try_from(*value).ok()?))
        };
        let ranks = reader.scalars().iter().filter_map(rank).collect();
        let mut tensors = Vec::new();
        for tensor in reader.into_tensors().map_err(|e| wrong(&e))? {
            let (name, dtype, shape, param, bytes) = tensor.into_parts().map_err(|e| wrong(&e))?;
            let finite = is_finite(dtype, &bytes);
            tensors.push(PackedTensor { name, param, dtype, shape: shape.to_vec(), finite });
        }
        Ok(Self { tensors, ranks })
    }

    /// The first tensor that holds a NaN or an infinity.
    pub fn not_finite(&self) -> Option<&str> {
        self.tensors.iter().find(|tensor| !tensor.finite).map(|tensor| tensor.name.as_str())
    }

    /// As [`architecture`](super::architecture), of the module that the file is a record of.
    pub fn architecture(&self) -> String {
        let mut architecture = Architecture::default();
        for tensor in &self.tensors {
            architecture.add(tensor.name.clone(), &tensor.shape, &tensor.dtype);
        }
        architecture.text()
    }

    /// What keeps this optimizer state from being that of the parameters of `model`.
    pub fn misfit(&self, model: &Self) -> Option<String> {
        let shapes: BTreeMap<u64, &[usize]> =
            model.tensors.iter().filter_map(|tensor| Some((tensor.param?, tensor.shape.as_slice()))).collect();
        self.tensors.iter().find_map(|tensor| {
            let name = &tensor.name;
            let Some(shape) = tensor.param.and_then(|param| shapes.get(&param)) else {
                return Some(format!("`{name}` belongs to no parameter of the model"));
            };
            let rank = tensor.param.and_then(|param| self.ranks.get(&param));
            let of_parameter = *shape == tensor.shape && rank.is_none_or(|rank| *rank == shape.len());
            (!of_parameter).then(|| format!("`{name}` has the shape {:?}, its parameter {shape:?}", tensor.shape))
        })
    }
}

/// Whether every number of these bytes is finite; whole numbers are.
fn is_finite(dtype: DType, bytes: &[u8]) -> bool {
    match dtype {
        DType::F64 => chunks::<8>(bytes).all(|b| f64::from_le_bytes(b).is_finite()),
        DType::F32 | DType::Flex32 => chunks::<4>(bytes).all(|b| f32::from_le_bytes(b).is_finite()),
        // All bits of the exponent are set in what is not finite.
        DType::F16 => chunks::<2>(bytes).all(|b| u16::from_le_bytes(b) & 0x7C00 != 0x7C00),
        DType::BF16 => chunks::<2>(bytes).all(|b| u16::from_le_bytes(b) & 0x7F80 != 0x7F80),
        _ => true,
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::store::burn_pack::{Tensor, Writer};

    fn pack(tensors: &[(&str, u64, &[usize], &[f32])]) -> Vec<u8> {
        let tensor = |(name, param, shape, values): &(&str, u64, &[usize], &[f32])| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            Tensor::new(name.to_string(), DType::F32, shape.to_vec(), Some(*param), Bytes::from_bytes_vec(bytes))
        };
        Writer::new(tensors.iter().map(tensor).collect()).into_bytes().unwrap().to_vec()
    }

    fn open(bytes: Vec<u8>) -> Result<Pack> {
        Pack::open(Path::new("a.bpk"), Bytes::from_bytes_vec(bytes))
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let good = open(pack(&[("a", 1, &[2], &[0.0, f32::MAX]), ("b", 2, &[1], &[-1.0])])).unwrap();
        assert_eq!(good.not_finite(), None);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = open(pack(&[("a", 1, &[2], &[0.0, 1.0]), ("b", 2, &[1], &[value])])).unwrap();
            assert_eq!(bad.not_finite(), Some("b"));
        }
        let halves = |bits: u16| bits.to_le_bytes();
        assert!(is_finite(DType::F16, &halves(0x7BFF)) && !is_finite(DType::F16, &halves(0xFC00)));
        assert!(is_finite(DType::BF16, &halves(0x7F7F)) && !is_finite(DType::BF16, &halves(0x7FC0)));
        assert!(!is_finite(DType::F64, &f64::NAN.to_le_bytes()));
        assert!(is_finite(DType::I64, &[255; 8]));
    }

    #[test]
    fn an_optimizer_must_fit_its_model() {
        let model = open(pack(&[("w", 1, &[2], &[0.0, 1.0])])).unwrap();
        let of = |param, shape: &[usize], values: &[f32]| open(pack(&[("1.moment", param, shape, values)])).unwrap();
        assert_eq!(of(1, &[2], &[0.0; 2]).misfit(&model), None);
        assert!(of(2, &[2], &[0.0; 2]).misfit(&model).unwrap().contains("belongs to no parameter"));
        assert!(of(1, &[3], &[0.0; 3]).misfit(&model).unwrap().contains("has the shape [3], its parameter [2]"));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let whole = pack(&[("a", 1, &[2], &[0.0, 1.0]), ("b", 2, &[1], &[-1.0])]);
        for length in 0..whole.len() {
            let _ = open(whole[..length].to_vec());
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                let _ = open(bytes);
            }
        }
        assert!(open(whole[..20].to_vec()).unwrap_err().to_string().starts_with("a.bpk: damaged: "));
    }
}
