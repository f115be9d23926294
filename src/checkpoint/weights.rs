//! Weights in and out: official PyTorch checkpoints (`.pt`, with or without EMA) and safetensors.
//!
//! Names in files are the official ones and linear weights are `[outputs, inputs]`; a [`KeyMap`] says where this
//! crate's names differ. Everything is checked before anything is loaded, and the module given is never changed.
use crate::{Error, Result};
use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter, SafetensorsStore, bridge};
use burn::tensor::{DType, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which of the sets of weights in a checkpoint to load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightSource {
    /// The EMA if the file has one, else the raw weights, else the file itself as one set.
    #[default]
    Auto,
    /// The weights under `model` (or the file itself, if it is one set).
    Raw,
    /// The weights under `ema`; an error if there are none.
    Ema,
}

/// What to load and what may be absent on either side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// The set of weights.
    pub source: WeightSource,
    /// Official names of parameters the file need not have; `projectors` allows all `projectors.*`.
    pub allow_missing: Vec<String>,
    /// Official names of tensors in the file the model need not have; `decoder` allows all `decoder.*`.
    pub allow_unused: Vec<String>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The set of weights that was found: [`WeightSource::Ema`] or [`WeightSource::Raw`].
    pub source: WeightSource,
    /// How many tensors were loaded.
    pub loaded: usize,
    /// Parameters the file did not have (allowed by the options); they keep their values.
    pub missing: Vec<String>,
    /// Tensors the model did not have (allowed by the options).
    pub unused: Vec<String>,
}

/// Renames runs of dotted segments: `("modulation", "adaLN_modulation.1")` maps `blocks.0.modulation.weight` to
/// `blocks.0.adaLN_modulation.1.weight` and back.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyMap<'a>(pub &'a [(&'a str, &'a str)]);

impl KeyMap<'_> {
    /// The name in files of the parameter at `path` in the module.
    pub fn to_file(&self, path: &str) -> String {
        self.0.iter().fold(path.to_string(), |name, (here, there)| rename(&name, here, there))
    }

    /// The path in the module of the tensor called `name` in files.
    pub fn to_module(&self, name: &str) -> String {
        self.0.iter().rev().fold(name.to_string(), |path, (here, there)| rename(&path, there, here))
    }
}

fn rename(name: &str, from: &str, to: &str) -> String {
    let dotted = format!(".{name}.").replace(&format!(".{from}."), &format!(".{to}."));
    dotted.trim_matches('.').to_string()
}

/// A copy of `module` with the weights of `file`: safetensors if it ends in `.safetensors`, else PyTorch
/// (feature `pytorch`). The type of numbers, the device and the gradients stay those of the module.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it cannot be read, [`Error::Weights`] naming
/// every tensor that is missing, unused or of another shape or kind and not allowed by `options`.
pub fn import<M: Module>(
    module: &M,
    file: &Path,
    options: &ImportOptions,
    names: KeyMap<'_>,
) -> Result<(M, ImportReport)> {
    let (source, stored) = read(file, options.source)?;
    let expected: BTreeMap<String, StoredTensor> =
        official(module, names).into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();

    let mut problems = Vec::new();
    let mut missing = Vec::new();
    for name in expected.keys().filter(|name| !stored.contains_key(*name)) {
        if !allowed(&options.allow_missing, name) {
            problems.push(format!("`{name}` is missing in the file"));
        }
        missing.push(name.clone());
    }
    let (mut tensors, mut unused) = (Vec::new(), Vec::new());
    for (name, tensor) in stored {
        let Some(target) = expected.get(&name) else {
            if !allowed(&options.allow_unused, &name) {
                problems.push(format!("`{name}` is in the file, not in the model"));
            }
            unused.push(name);
            continue;
        };
        match converted(tensor, target, names) {
            Ok(tensor) => tensors.push(tensor),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Weights(format!("{}:\n  {}", file.display(), problems.join("\n  "))));
    }

    let mut loaded = module.clone();
    let result = loaded.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    if !result.errors.is_empty() || !result.unused.is_empty() || result.missing.len() != missing.len() {
        return Err(Error::Weights(format!("{}: {result}", file.display())));
    }
    Ok((loaded, ImportReport { source, loaded: result.applied.len(), missing, unused }))
}

/// Writes the parameters of `module` as safetensors with official names and layouts, replacing `file` only when
/// all of it is written.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Weights`] if a parameter cannot be read or has a type
/// safetensors does not know.
pub fn export_safetensors<M: Module>(module: &M, file: &Path, names: KeyMap<'_>) -> Result<()> {
    let mut parts = Vec::new();
    for tensor in official(module, names) {
        let name = tensor.name.clone();
        let data = bridge::into_data(tensor).map_err(|e| Error::Weights(format!("`{name}`: {e}")))?;
        let dtype = file_type(data.dtype())
            .ok_or_else(|| Error::Weights(format!("`{name}`: {:?} is unknown to safetensors", data.dtype())))?;
        parts.push((name, dtype, data));
    }
    let mut views = Vec::with_capacity(parts.len());
    for (name, dtype, data) in &parts {
        let view = TensorView::new(*dtype, data.shape().to_vec(), data.as_bytes())
            .map_err(|e| Error::Weights(format!("`{name}`: {e}")))?;
        views.push((name.as_str(), view));
    }
    let mut unfinished = file.as_os_str().to_os_string();
    unfinished.push(".part");
    let unfinished = Path::new(&unfinished);
    safetensors::serialize_to_file(views, None, unfinished)
        .map_err(|e| Error::io(file, std::io::Error::other(e.to_string())))?;
    std::fs::rename(unfinished, file).map_err(|e| Error::io(file, e))
}

/// The parameters under official names, in official layout.
fn official<M: Module>(module: &M, names: KeyMap<'_>) -> Vec<StoredTensor> {
    let mut tensors = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    for tensor in &mut tensors {
        tensor.name = names.to_file(&tensor.name);
    }
    tensors
}

/// Reads a tensor into memory under its name in the module, in the type of `target`.
fn converted(tensor: StoredTensor, target: &StoredTensor, names: KeyMap<'_>) -> Result<StoredTensor, String> {
    let name = tensor.name.clone();
    if tensor.shape != target.shape {
        let (found, wanted) = (tensor.shape.to_vec(), target.shape.to_vec());
        return Err(format!("`{name}` has shape {found:?} in the file, {wanted:?} in the model"));
    }
    if tensor.dtype.is_float() != target.dtype.is_float() {
        return Err(format!("`{name}` is {:?} in the file, {:?} in the model", tensor.dtype, target.dtype));
    }
    let data = bridge::into_data(tensor).map_err(|e| format!("`{name}`: {e}"))?;
    Ok(bridge::from_data(data.convert_dtype(target.dtype), names.to_module(&name), None))
}

fn allowed(list: &[String], name: &str) -> bool {
    list.iter()
        .any(|entry| name.strip_prefix(entry.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

type Stored = BTreeMap<String, StoredTensor>;

fn read(file: &Path, source: WeightSource) -> Result<(WeightSource, Stored)> {
    // Opened first so that an absent file is an I/O error whatever the format.
    std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
    let stored = if file.extension().is_some_and(|e| e == "safetensors") {
        SafetensorsStore::from_file(file).get_all_tensors().map_err(|e| Error::format(file, e.to_string()))?.clone()
    } else {
        let stored = read_pytorch(file)?;
        let tops: BTreeSet<&str> = stored.keys().filter_map(|name| name.split('.').next()).collect();
        let has = |key: &str| tops.contains(key);
        match source {
            WeightSource::Auto | WeightSource::Ema if has("ema") => {
                return Ok((WeightSource::Ema, under("ema", stored)));
            }
            WeightSource::Auto | WeightSource::Raw if has("model") => {
                return Ok((WeightSource::Raw, under("model", stored)));
            }
            _ => stored,
        }
    };
    if source == WeightSource::Ema {
        return Err(Error::Weights(format!("{}: it has no weights under `ema`", file.display())));
    }
    Ok((WeightSource::Raw, stored))
}

/// Every tensor of a file by its name, read into memory.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it or one of its tensors cannot be read.
pub(crate) fn read_arrays(file: &Path) -> Result<BTreeMap<String, TensorData>> {
    let (_, stored) = read(file, WeightSource::Raw)?;
    let data = |(name, tensor)| match bridge::into_data(tensor) {
        Ok(data) => Ok((name, data)),
        Err(e) => Err(Error::format(file, format!("`{name}`: {e}"))),
    };
    stored.into_iter().map(data).collect()
}

/// The tensors below a top-level key, without it.
fn under(key: &str, stored: Stored) -> Stored {
    let prefix = format!("{key}.");
    stored
        .into_iter()
        .filter_map(|(name, mut tensor)| {
            tensor.name = name.strip_prefix(&prefix)?.to_string();
            Some((tensor.name.clone(), tensor))
        })
        .collect()
}

#[cfg(feature = "pytorch")]
fn read_pytorch(file: &Path) -> Result<Stored> {
    use burn::store::pytorch_reader::PytorchReader;
    let reader = PytorchReader::new(file).map_err(|e| Error::format(file, e.to_string()))?;
    Ok(reader.into_tensors().into_iter().map(|(name, tensor)| (name, bridge::from_pytorch(tensor))).collect())
}

#[cfg(not(feature = "pytorch"))]
fn read_pytorch(file: &Path) -> Result<Stored> {
    Err(Error::format(file, "reading PyTorch files needs the feature `pytorch`; or convert it to .safetensors"))
}

fn file_type(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 | DType::Flex32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn linear(inputs: usize, outputs: usize) -> Linear {
        LinearConfig::new(inputs, outputs).init(&Device::default())
    }

    #[test]
    fn names_round_trip() {
        let map = KeyMap(&[("t.first", "t.mlp.0"), ("modulation", "adaLN_modulation.1")]);
        for (here, there) in [
            ("t.first.weight", "t.mlp.0.weight"),
            ("blocks.0.modulation.bias", "blocks.0.adaLN_modulation.1.bias"),
            ("other.demodulation.bias", "other.demodulation.bias"),
        ] {
            assert_eq!(map.to_file(here), there);
            assert_eq!(map.to_module(there), here);
        }
    }

    #[test]
    fn square_weights_survive_the_round_trip_and_are_stored_transposed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.safetensors");
        let original = linear(3, 3);
        export_safetensors(&original, &file, KeyMap::default()).unwrap();
        let (loaded, report) = import(&linear(3, 3), &file, &ImportOptions::default(), KeyMap::default()).unwrap();
        assert_eq!(loaded.weight.val().into_data(), original.weight.val().into_data());
        assert_eq!(report.loaded, 2);
        let bytes = std::fs::read(&file).unwrap();
        let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let transposed = original.weight.val().transpose().into_data();
        assert_eq!(stored.tensor("weight").unwrap().data(), transposed.as_bytes());
    }

    #[test]
    fn everything_that_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.safetensors");
        export_safetensors(&linear(3, 2), &file, KeyMap::default()).unwrap();
        let try_import = |module: &Linear, names: KeyMap<'_>, options: &ImportOptions| {
            import(module, &file, options, names).map(|(_, report)| report)
        };
        let none = ImportOptions::default();
        let message = try_import(&linear(4, 2), KeyMap::default(), &none).unwrap_err().to_string();
        assert!(message.contains("`weight` has shape [2, 3] in the file, [2, 4] in the model"), "{message}");

        let renamed = KeyMap(&[("bias", "offset")]);
        let message = try_import(&linear(3, 2), renamed, &none).unwrap_err().to_string();
        assert!(message.contains("`offset` is missing") && message.contains("`bias` is in the file"), "{message}");
        let mut options = ImportOptions { allow_missing: vec!["offset".into()], ..Default::default() };
        assert!(try_import(&linear(3, 2), renamed, &options).is_err());
        options.allow_unused = vec!["bias".into()];
        let report = try_import(&linear(3, 2), renamed, &options).unwrap();
        assert_eq!((report.loaded, report.missing.len(), report.unused.len()), (1, 1, 1));

        let ema = ImportOptions { source: WeightSource::Ema, ..Default::default() };
        assert!(matches!(try_import(&linear(3, 2), KeyMap::default(), &ema), Err(Error::Weights(_))));
    }

    #[test]
    fn the_type_of_numbers_is_the_modules() {
        struct Half;
        impl burn::module::ModuleMapper for Half {
            fn map_float<const D: usize>(
                &mut self,
                param: burn::module::Param<burn::tensor::Tensor<D>>,
            ) -> burn::module::Param<burn::tensor::Tensor<D>> {
                param.map(|tensor| tensor.cast(DType::BF16))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.safetensors");
        export_safetensors(&linear(3, 3), &file, KeyMap::default()).unwrap();
        let half = linear(3, 3).map(&mut Half);
        let (loaded, _) = import(&half, &file, &ImportOptions::default(), KeyMap::default()).unwrap();
        assert_eq!(loaded.weight.val().dtype(), DType::BF16);
        export_safetensors(&loaded, &file, KeyMap::default()).unwrap();
        let (again, _) = import(&linear(3, 3), &file, &ImportOptions::default(), KeyMap::default()).unwrap();
        assert_eq!(again.weight.val().dtype(), DType::F32);
        assert_eq!(again.weight.val().into_data(), loaded.weight.val().into_data().convert_dtype(DType::F32));
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("w.safetensors");
        export_safetensors(&linear(3, 2), &whole, KeyMap::default()).unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        for name in ["cut.safetensors", "cut.pt"] {
            for length in [0, 4, 40, bytes.len() - 1] {
                let file = folder.path().join(name);
                std::fs::write(&file, &bytes[..length]).unwrap();
                let result = import(&linear(3, 2), &file, &ImportOptions::default(), KeyMap::default());
                assert!(result.is_err(), "{name} with {length} bytes");
            }
        }
        let absent = folder.path().join("absent.pt");
        let result = import(&linear(3, 2), &absent, &ImportOptions::default(), KeyMap::default());
        assert!(matches!(result, Err(Error::Io { .. })));
    }
}
