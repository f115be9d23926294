//! Weights into a copy of a module.
use super::names::covers;
use super::report::lines;
use super::source::Set;
use super::{ImportReport, KeyMap, WeightSource, detect, official, source};
use crate::{Error, Result};
use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

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

/// A copy of `module` with the weights of `file`: safetensors if it ends in `.safetensors`, else PyTorch
/// (feature `pytorch`). The type of numbers, the device and the gradients stay those of the module.
///
/// A prefix `model.diffusion_model.` is cut where it occurs (the rest of such a file, as its `first_stage_model.*`,
/// must be allowed as unused), `module.` and `_orig_mod.` if every name has it.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Format`] if it cannot be read, [`Error::Weights`] naming
/// the tensors that are missing, unused or of another shape or kind and not allowed by `options`, and the entries
/// of `options` that allow nothing the model (missing) or the file (unused) has.
pub fn import<M: Module>(
    module: &M,
    file: &Path,
    options: &ImportOptions,
    names: KeyMap<'_>,
) -> Result<(M, ImportReport)> {
    let expected: BTreeMap<String, StoredTensor> =
        official(module, names).into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let own = |prefix: &str| expected.keys().any(|name| name.starts_with(prefix));
    let Set { source, prefix, tensors: stored } = source::read(file, options.source, own)?;
    let wrong_system = wrong_system(&stored, &expected);

    let mut problems = misspelt(&options.allow_missing, "allow_missing", "parameter of the model", &expected);
    problems.extend(misspelt(&options.allow_unused, "allow_unused", "tensor in the file", &stored));
    let allowed = |list: &[String], name: &str| list.iter().any(|entry| covers(entry, name));
    let missing: Vec<String> = expected.keys().filter(|name| !stored.contains_key(*name)).cloned().collect();
    let unexpected = missing.iter().filter(|name| !allowed(&options.allow_missing, name));
    problems.extend(unexpected.map(|name| format!("`{name}` is missing in the file")));
    let (mut fitting, mut unused) = (Vec::new(), Vec::new());
    for (name, tensor) in stored {
        match expected.get(&name) {
            Some(target) => match misfit(&tensor, target) {
                None => fitting.push((tensor, target)),
                Some(problem) => problems.push(problem),
            },
            None if allowed(&options.allow_unused, &name) => unused.push(name),
            None => problems.push(format!("`{name}` is in the file, not in the model")),
        }
    }
    if !problems.is_empty() {
        let count = problems.len();
        let s = if count == 1 { "" } else { "s" };
        return Err(Error::Weights(format!(
            "{}: {wrong_system}{count} problem{s}:{}",
            file.display(),
            lines(&problems)
        )));
    }

    let convert = |(tensor, target): (StoredTensor, &StoredTensor)| converted(tensor, target, names);
    let tensors = fitting.into_iter().map(convert).collect::<Result<_, _>>().map_err(|e| Error::format(file, e))?;
    let mut loaded = module.clone();
    let result = loaded.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    if !result.errors.is_empty() || !result.unused.is_empty() || result.missing.len() != missing.len() {
        return Err(Error::Weights(format!("{}: {result}", file.display())));
    }
    Ok((loaded, ImportReport { source, prefix, loaded: result.applied.len(), missing, unused }))
}

/// "this looks like a RAE checkpoint, the model is a SiT; " where that is so.
fn wrong_system<A, B>(stored: &BTreeMap<String, A>, expected: &BTreeMap<String, B>) -> String {
    let [file, model] = [detect(stored.keys().map(String::as_str)), detect(expected.keys().map(String::as_str))];
    match (file, model) {
        (Some(file), Some(model)) if file != model => {
            format!("this looks like a checkpoint of {file}, the model is {model}; ")
        }
        (Some(file), None) if !stored.keys().any(|name| expected.contains_key(name)) => {
            format!("this looks like a checkpoint of {file}, which the model is not; ")
        }
        _ => String::new(),
    }
}

fn misspelt<T>(entries: &[String], list: &str, what: &str, names: &BTreeMap<String, T>) -> Vec<String> {
    let matches = |entry: &String| names.keys().any(|name| covers(entry, name));
    let problem = |entry| format!("{list}: `{entry}` is no {what}");
    entries.iter().filter(|entry| !matches(entry)).map(problem).collect()
}

/// Why a tensor cannot be loaded into `target`, told without reading it.
fn misfit(tensor: &StoredTensor, target: &StoredTensor) -> Option<String> {
    let name = &tensor.name;
    if tensor.shape != target.shape {
        let (found, wanted) = (tensor.shape.to_vec(), target.shape.to_vec());
        return Some(format!("`{name}` has shape {found:?} in the file, {wanted:?} in the model"));
    }
    (tensor.dtype.is_float() != target.dtype.is_float())
        .then(|| format!("`{name}` is {:?} in the file, {:?} in the model", tensor.dtype, target.dtype))
}

/// Reads a tensor into memory under its name in the module, in the type of `target`.
fn converted(tensor: StoredTensor, target: &StoredTensor, names: KeyMap<'_>) -> Result<StoredTensor, String> {
    let name = tensor.name.clone();
    let data = bridge::into_data(tensor).map_err(|e| format!("`{name}`: {e}"))?;
    Ok(bridge::from_data(data.convert_dtype(target.dtype), names.to_module(&name), None))
}
