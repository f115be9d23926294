//! Which of the sets of weights in a file, and under which prefix.
use crate::tensor_file::Stored;
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Which of the sets of weights in a checkpoint to load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightSource {
    /// The EMA if the file has one, else the raw weights, else the file itself as one set.
    #[default]
    Auto,
    /// The weights under `model` or `state_dict` (or the file itself, if it is one set).
    Raw,
    /// The weights under `ema`; an error if there are none.
    Ema,
}

/// The prefix of the diffusion model in a file that also holds its autoencoder or text encoders.
const COMPONENT: &str = "model.diffusion_model.";
/// Prefixes of every name: of PyTorch's distributed wrapper, and of a compiled module.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// One set of weights.
pub(super) struct Set {
    pub(super) source: WeightSource,
    pub(super) prefix: String,
    pub(super) tensors: Stored,
}

/// Names and shapes of one set of weights, without reading a number: linear weights are `[outputs, inputs]`, and
/// prefixes such as `model.diffusion_model.` are cut off.
///
/// # Errors
/// As [`import`](super::import()), when the file cannot be read or has no EMA that was asked for.
pub fn tensor_shapes(file: &Path, source: WeightSource) -> Result<BTreeMap<String, Vec<usize>>> {
    let set = read(file, source, |_| false)?;
    Ok(set.tensors.into_iter().map(|(name, tensor)| (name, tensor.shape.to_vec())).collect())
}

/// Reads the set `source` of a file. `own` says whether a name is one of the model's, which is then no dictionary
/// or prefix around it.
pub(super) fn read(file: &Path, source: WeightSource, own: impl Fn(&str) -> bool) -> Result<Set> {
    let mut tensors = crate::tensor_file::open(file)?;
    let mut found = WeightSource::Raw;
    let dictionary = |key: &str, tensors: &Stored| {
        let inside = format!("{key}.");
        !own(&inside)
            && tensors.keys().any(|name| name.starts_with(&inside))
            && !tensors.keys().any(|name| name.starts_with(COMPONENT))
    };
    if source != WeightSource::Raw && dictionary("ema", &tensors) {
        (found, tensors) = (WeightSource::Ema, under("ema", tensors));
    } else if source == WeightSource::Ema {
        return Err(Error::Weights(format!("{}: it has no weights under `ema`", file.display())));
    } else if let Some(key) = ["model", "state_dict"].into_iter().find(|key| dictionary(key, &tensors)) {
        tensors = under(key, tensors);
    }
    let mut prefix = String::new();
    while let Some(cut) = outermost(&tensors, &own) {
        prefix.push_str(cut);
        tensors = without(cut, tensors).map_err(|name| {
            Error::Weights(format!("{}: `{name}` is there with and without the prefix `{cut}`", file.display()))
        })?;
    }
    Ok(Set { source: found, prefix, tensors })
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

fn outermost(tensors: &Stored, own: impl Fn(&str) -> bool) -> Option<&'static str> {
    let wrapper = |prefix: &&str| !own(prefix) && tensors.keys().all(|name| name.starts_with(*prefix));
    if tensors.keys().any(|name| name.starts_with(COMPONENT)) && !own(COMPONENT) {
        return Some(COMPONENT);
    }
    WRAPPERS.into_iter().filter(|_| !tensors.is_empty()).find(wrapper)
}

/// Cuts `prefix` where it is; a name that then occurs twice is an error.
fn without(prefix: &str, stored: Stored) -> Result<Stored, String> {
    let mut tensors = Stored::new();
    for (name, mut tensor) in stored {
        tensor.name = name.strip_prefix(prefix).unwrap_or(&name).to_string();
        let name = tensor.name.clone();
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(name);
        }
    }
    Ok(tensors)
}
