//! Which of the sets of weights in a file.
use super::recognise::{Model, Set, Wanted};
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

/// Names and shapes of one set of weights, without reading a number: linear weights are `[outputs, inputs]`, and
/// prefixes such as `model.diffusion_model.` are cut off.
///
/// # Errors
/// As [`import`](super::import()), when the file cannot be read or has no EMA that was asked for.
pub fn tensor_shapes(file: &Path, source: WeightSource) -> Result<BTreeMap<String, Vec<usize>>> {
    let stored = crate::tensor_file::open(file)?;
    let set = Set::of(stored, Wanted { source, prefix: None }, &Model::unknown());
    let set = set.map_err(|message| Error::Weights(format!("{}: {message}", file.display())))?;
    Ok(set.tensors.into_iter().map(|(name, tensor)| (name, tensor.shape)).collect())
}
