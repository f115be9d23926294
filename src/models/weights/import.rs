//! Weights into a copy of a module.
use super::contents::Contents;
use super::finite::not_finite;
use super::grouped::{Said, grouped};
use super::layouts::{foreign, part};
use super::misfit::{OtherShape, advice, most_like, other_type};
use super::names::covers;
use super::recognise::{Model, Set, Wanted};
use super::report::lines;
use super::{ImportReport, KeyMap, WeightSource, detect, official};
use crate::tensor_file::{self, FileTensor, Stored};
use crate::{Error, Result};
use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use burn::tensor::TensorData;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// How many problems an error lists; fewer if the file is of another system.
const LISTED: usize = 20;
const LISTED_OF_ANOTHER: usize = 8;
/// How many likely names an error tells.
const LIKELY: usize = 3;

/// What to load and what may be absent on either side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// The set of weights.
    pub source: WeightSource,
    /// What the names of the set begin with in the file, such as `teacher`, where a file has several that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Official names of parameters the file need not have; `projectors` allows all `projectors.*`.
    pub allow_missing: Vec<String>,
    /// Official names of tensors in the file the model need not have; `decoder` allows all `decoder.*`.
    pub allow_unused: Vec<String>,
    /// Official names of parameters that keep their values, whatever the file has: embeddings of other classes
    /// (`y_embedder`), positions of another resolution (`pos_embed`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
}

impl ImportOptions {
    fn may_miss(&self, name: &str) -> bool {
        self.allow_missing.iter().any(|entry| covers(entry, name))
    }

    fn may_have(&self, name: &str) -> bool {
        self.allow_unused.iter().any(|entry| covers(entry, name))
    }

    fn replaces(&self, name: &str) -> bool {
        self.replace.iter().any(|entry| covers(entry, name))
    }
}

/// A copy of `module` with the weights of `file`, which is safetensors or PyTorch (feature `pytorch`) by its contents; of
/// shards the index, one of them, or their folder is named. The type of numbers, the device and the gradients stay those
/// of the module.
///
/// What other programs put around names is recognised and cut: dictionaries such as `state_dict`, `model` and `ema`;
/// `module.`; `_orig_mod.` and `_checkpoint_wrapped_module.` anywhere; `model.diffusion_model.`; any other prefix under
/// which alone most names of the module are. Autoencoders and text encoders in the file are left alone. What was cut is
/// in the report. A parameter that both lists of `options` allow keeps its values if its shape differs.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened; [`Error::Format`] if it cannot be read or holds numbers that are not
/// finite; [`Error::Weights`] naming the tensors that are missing, unused or of another shape or kind and not allowed by
/// `options`, the entries of `options` that allow nothing the model (missing, replaced) or the file (unused) has, or
/// several sets that fit.
pub fn import<M: Module>(
    module: &M,
    file: &Path,
    options: &ImportOptions,
    names: KeyMap<'_>,
) -> Result<(M, ImportReport)> {
    import_stored(module, file, tensor_file::open(file)?, options, names)
}

/// As [`import`], of tensors of `file` that may have got other names and shapes since they were opened.
pub(crate) fn import_stored<M: Module>(
    module: &M,
    file: &Path,
    stored: Stored,
    options: &ImportOptions,
    names: KeyMap<'_>,
) -> Result<(M, ImportReport)> {
    let expected: BTreeMap<String, StoredTensor> =
        official(module, names).into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let contents = Contents::of(&stored);
    let unfit = |message: String| Error::Weights(format!("{}: {message}", file.display()));
    let model = Model::of(expected.keys().map(String::as_str));
    let wanted = Wanted { source: options.source, prefix: options.prefix.as_deref() };
    let set = Set::of(stored, wanted, &model).map_err(|message| unfit(format!("{message}; {contents}")))?;

    let Sorted { fitting, mut report } =
        sorted(set, &expected, options).map_err(|wrong| unfit(wrong.told(&contents)))?;
    let mut tensors = Vec::new();
    let mut bad = Vec::new();
    for (name, tensor) in fitting {
        let target = &expected[&name];
        let data = tensor.read().map_err(|message| Error::format(file, format!("`{name}`: {message}")))?;
        let data = data.convert_dtype(target.dtype);
        bad.extend(not_finite(&data).map(|what| Said { name: name.clone(), what }));
        tensors.push(loadable(data, names.to_module(&name)));
    }
    if !bad.is_empty() {
        let bad = lines(&grouped(bad), LISTED);
        let message = format!("its weights cannot be used; take an earlier checkpoint, or get it again:{bad}");
        return Err(Error::format(file, message));
    }
    let mut loaded = module.clone();
    let result = loaded.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
    let kept = report.missing.len() + report.replaced.len();
    if !result.errors.is_empty() || !result.unused.is_empty() || result.missing.len() != kept {
        return Err(unfit(result.to_string()));
    }
    report.loaded = result.applied.len();
    Ok((loaded, report))
}

fn loadable(data: TensorData, path: String) -> StoredTensor {
    bridge::from_data(data, path, None)
}

/// The tensors to load, and what is known of the import before they are read.
pub(super) struct Sorted {
    pub(super) fitting: Vec<(String, FileTensor)>,
    pub(super) report: ImportReport,
}

/// Why a set does not fit.
pub(super) struct Unfit {
    /// What the file is instead, and how many problems there are.
    first: String,
    problems: Vec<String>,
    listed: usize,
    advice: Vec<String>,
}

impl Unfit {
    pub(super) fn told(self, contents: &Contents) -> String {
        let list = lines(&self.problems, self.listed);
        let advice: String = self.advice.iter().map(|advice| format!("\n{advice}")).collect();
        format!("{}{list}\n{contents}{advice}", self.first)
    }
}

/// Compares names, shapes and types of a set with those of the model.
pub(super) fn sorted(
    set: Set,
    expected: &BTreeMap<String, StoredTensor>,
    options: &ImportOptions,
) -> Result<Sorted, Unfit> {
    let Set { source, under, beside, prefix, inner, tensors: stored } = set;
    let systems = [detect(stored.keys().map(String::as_str)), detect(expected.keys().map(String::as_str))];
    let has_one = stored.keys().any(|name| expected.contains_key(name));
    if let Some(first) = foreign(stored.keys(), systems[1]).filter(|_| !has_one) {
        return Err(Unfit { first, problems: Vec::new(), listed: 0, advice: Vec::new() });
    }
    let wrong_system = wrong_system(systems, has_one);
    let mut misspelt = misspelt_entries("allow_missing", &options.allow_missing, PARAMETER, expected);
    misspelt.extend(misspelt_entries("replace", &options.replace, PARAMETER, expected));
    misspelt.extend(misspelt_entries("allow_unused", &options.allow_unused, "tensor in the file", &stored));
    let mut report = ImportReport {
        source,
        under,
        beside,
        prefix,
        inner,
        loaded: 0,
        missing: Vec::new(),
        replaced: expected.keys().filter(|name| options.replaces(name)).cloned().collect(),
        unused: Vec::new(),
        parts: BTreeMap::new(),
    };
    let (mut said, mut lacking) = (Vec::new(), Vec::new());
    for name in expected.keys().filter(|name| !stored.contains_key(*name) && !options.replaces(name)) {
        if options.may_miss(name) {
            report.missing.push(name.clone());
        } else {
            said.push(Said { name: name.clone(), what: "is missing in the file".into() });
            lacking.push(name);
        }
    }
    let (mut fitting, mut shapes, mut strange) = (Vec::new(), Vec::new(), Vec::new());
    for (name, tensor) in stored {
        let Some(target) = expected.get(&name) else {
            match part(&name) {
                _ if options.may_have(&name) => report.unused.push(name),
                Some((part, _)) => *report.parts.entry(part).or_insert(0) += 1,
                None => {
                    said.push(Said { name: name.clone(), what: "is in the file, not in the model".into() });
                    strange.push((name, tensor.shape));
                }
            }
            continue;
        };
        if options.replaces(&name) {
            continue;
        }
        match OtherShape::of(&name, &tensor, target) {
            Some(_) if options.may_miss(&name) && options.may_have(&name) => report.replaced.push(name),
            Some(misfit) => {
                said.push(Said { name, what: misfit.what() });
                shapes.push(misfit);
            }
            None => match other_type(&tensor, target) {
                Some(what) => said.push(Said { name, what }),
                None => fitting.push((name, tensor)),
            },
        }
    }
    let count = misspelt.len() + said.len();
    if count == 0 {
        return Ok(Sorted { fitting, report });
    }
    let s = if count == 1 { "" } else { "s" };
    let (listed, advice) = match wrong_system.is_empty() {
        true => (LISTED, [likely(&lacking, expected, &strange), advice(&shapes, expected)].concat()),
        false => (LISTED_OF_ANOTHER, Vec::new()),
    };
    let problems = misspelt.into_iter().chain(grouped(said)).collect();
    Err(Unfit { first: format!("{wrong_system}{count} problem{s}:"), problems, listed, advice })
}

/// "this looks like a checkpoint of RAE, the model is SiT; " where that is so.
fn wrong_system([file, model]: [Option<&'static str>; 2], has_one: bool) -> String {
    match (file, model) {
        (Some(file), Some(model)) if file != model => {
            format!("this looks like a checkpoint of {file}, the model is {model}; ")
        }
        (Some(file), None) if !has_one => format!("this looks like a checkpoint of {file}, which the model is not; "),
        _ => String::new(),
    }
}

const PARAMETER: &str = "parameter of the model";

fn misspelt_entries<T>(list: &str, entries: &[String], what: &str, names: &BTreeMap<String, T>) -> Vec<String> {
    let matches = |entry: &String| names.keys().any(|name| covers(entry, name));
    let problem = |entry: &String| {
        let like = most_like(entry, names.keys()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        format!("{list}: `{entry}` is no {what}{like}")
    };
    entries.iter().filter(|entry| !matches(entry)).map(problem).collect()
}

/// Names of the file that missing ones may have been renamed from: alike, and of the same shape.
fn likely(
    lacking: &[&String],
    expected: &BTreeMap<String, StoredTensor>,
    strange: &[(String, Vec<usize>)],
) -> Vec<String> {
    let like = |name: &&String| {
        let same = strange.iter().filter(|(_, shape)| *shape == expected[*name].shape.to_vec());
        let other = most_like(name, same.map(|(other, _)| other))?;
        Some(format!("did you mean `{other}` of the file by `{name}`?"))
    };
    lacking.iter().take(LISTED).filter_map(like).take(LIKELY).collect()
}
