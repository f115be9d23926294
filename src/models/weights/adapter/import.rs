//! Adapters in: added to the weights of a network.
use super::export::{DIFFUSERS_PREFIX, PEFT_PREFIX, chosen};
use super::layouts::{AdapterLayouts, Part, Rows};
use crate::adapter::{Layer, Linears, Place};
use crate::models::weights::grouped::{Said, grouped};
use crate::tensor_file::{self, FileTensor, Stored};
use crate::{Error, Result};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What names of A and of B end in: PEFT's, PEFT's with the name of an adapter, and the older ones.
const ENDS: [[&str; 2]; 3] = [
    [".lora_A.weight", ".lora_B.weight"],
    [".lora_A.default.weight", ".lora_B.default.weight"],
    [".lora_down.weight", ".lora_up.weight"],
];
const ALPHA: &str = ".alpha";
/// What names may begin with.
const PREFIXES: [&str; 5] = [PEFT_PREFIX, DIFFUSERS_PREFIX, "model.diffusion_model.", "diffusion_model.", "module."];
/// Bytes of a header that are read at most: those that safetensors allows.
const MOST_HEADER: u64 = 100_000_000;
/// How many lines an error lists.
const LISTED: usize = 20;

/// A copy of `network` whose weights have the adapters of `path` added, W + (α/r) · B A, and how many of its layers changed.
///
/// `path` is a file, or a folder with `adapter_model.safetensors` or `pytorch_lora_weights.safetensors`. Layers are named as
/// officially or as in diffusers. α is that of the file, else of the `adapter_config.json` beside it, else r.
///
/// # Errors
/// [`Error::Io`] if a file cannot be opened; [`Error::Format`] if it cannot be read or is not finite; [`Error::Weights`] naming
/// what is no adapter of a layer of this network, or of another size.
pub fn add_adapter<M: Module>(network: &M, path: &Path, layouts: &AdapterLayouts<'_>) -> Result<(M, usize)> {
    let file = adapter_file(path)?;
    let unfit = |message: String| Error::Weights(format!("{}: {message}", file.display()));
    let beside = Settings::of(&file)?;
    let Pairs { mut pairs, strange } = Pairs::of(tensor_file::open(&file)?);
    if pairs.is_empty() {
        return Err(unfit("holds no adapter: no name ends in `.lora_A.weight` or `.lora_down.weight`".into()));
    }
    let mut said: Vec<Said> =
        strange.into_iter().map(|name| Said { name, what: "is no part of an adapter".into() }).collect();
    let mut plans = BTreeMap::new();
    for Layer { path, sides } in Linears::of(network).layers {
        let official = layouts.names.to_file(&path);
        let whole = [Part { name: official.clone(), rows: Rows::All }].to_vec();
        let parts = [Some(whole), (layouts.diffusers)(&official)].into_iter().flatten();
        let Some(parts) = parts.into_iter().find(|parts| parts.iter().any(|part| pairs.contains_key(&part.name)))
        else {
            continue;
        };
        for Part { name, rows } in parts {
            let Some(pair) = pairs.remove(&name) else { continue };
            let rows = chosen(rows, sides[1]);
            match pair.misfit([rows.len(), sides[0]]) {
                Some(what) => said.push(Said { name, what }),
                None => plans.entry(path.clone()).or_insert_with(Vec::new).push(Planned { name, rows, pair }),
            }
        }
    }
    said.extend(pairs.into_keys().map(|name| Said { name, what: "is no layer of this network".into() }));
    if !said.is_empty() {
        let lines = grouped(said);
        let more = lines.len().saturating_sub(LISTED);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        let lines: String = lines.iter().take(LISTED).map(|line| format!("\n  {line}")).collect();
        return Err(unfit(format!("does not fit:{lines}{more}")));
    }
    let changed = plans.len();
    let mut add = Add { place: Place::default(), plans, beside, wrong: None };
    let sum = network.clone().map(&mut add);
    match add.wrong {
        Some(Said { name, what }) => Err(Error::format(&file, format!("`{name}` {what}"))),
        None => Ok((sum, changed)),
    }
}

/// The file that a path names.
fn adapter_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let names = ["adapter_model.safetensors", "pytorch_lora_weights.safetensors"];
    let found = names.map(|name| path.join(name)).into_iter().find(|file| file.exists());
    found.ok_or_else(|| Error::Invalid(format!("{}: holds neither {} nor {}", path.display(), names[0], names[1])))
}

/// Every file that [`add_adapter`] reads for a path.
///
/// # Errors
/// [`Error::Invalid`] for a folder without an adapter.
#[cfg(feature = "experiment")]
pub(crate) fn adapter_files(path: &Path) -> Result<Vec<PathBuf>> {
    let file = adapter_file(path)?;
    let beside = settings_file(&file).filter(|settings| settings.exists());
    Ok([file].into_iter().chain(beside).collect())
}

/// Where the settings of a file of PEFT's would be.
fn settings_file(file: &Path) -> Option<PathBuf> {
    let described = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("adapter_model"));
    described.then(|| file.with_file_name("adapter_config.json"))
}

/// What `adapter_config.json` says beside an adapter.
#[derive(Default)]
struct Settings {
    alpha: Option<f64>,
    square_root: bool,
}

impl Settings {
    /// Those in the header of the file, as diffusers writes them, or those beside it.
    fn of(file: &Path) -> Result<Self> {
        if let Some(json) = in_header(file) {
            return Self::read(&json, file);
        }
        let Some(config) = settings_file(file) else { return Ok(Self::default()) };
        let Ok(text) = std::fs::read(&config) else { return Ok(Self::default()) };
        Self::read(&crate::json::parse(&text).map_err(|message| Error::format(&config, message))?, &config)
    }

    fn read(json: &Value, file: &Path) -> Result<Self> {
        // diffusers puts the name of the part before each key: `transformer.r`.
        let empty = serde_json::Map::new();
        let all = json.as_object().unwrap_or(&empty);
        let of = |key: &str| {
            let named = |name: &str| name == key || name.strip_suffix(key).is_some_and(|part| part.ends_with('.'));
            all.iter().find(|(name, value)| named(name) && !value.is_null()).map(|(_, value)| value)
        };
        let merge = "only plain LoRA is read: merge it with PEFT (`merge_and_unload`), and take the merged weights";
        let kind = of("peft_type").and_then(Value::as_str).unwrap_or("LORA");
        if kind != "LORA" {
            return Err(Error::format(file, format!("peft_type = {kind:?}: {merge}")));
        }
        if of("use_dora").is_some_and(|dora| *dora == Value::Bool(true)) {
            return Err(Error::format(file, format!("use_dora = true: {merge}")));
        }
        if of("alpha_pattern").and_then(Value::as_object).is_some_and(|map| !map.is_empty()) {
            return Err(Error::format(file, format!("alpha_pattern: one α for all layers is read; {merge}")));
        }
        let square_root = of("use_rslora").is_some_and(|root| *root == Value::Bool(true));
        Ok(Self { alpha: of("lora_alpha").and_then(Value::as_f64), square_root })
    }
}

/// What the header of a safetensors file says of its adapter.
fn in_header(file: &Path) -> Option<Value> {
    let mut opened = std::fs::File::open(file).ok()?;
    let mut length = [0; 8];
    opened.read_exact(&mut length).ok()?;
    let mut header = Vec::new();
    opened.take(u64::from_le_bytes(length).min(MOST_HEADER)).read_to_end(&mut header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    serde_json::from_str(header["__metadata__"]["lora_adapter_metadata"].as_str()?).ok()
}

/// A and B of a layer, unread.
#[derive(Default)]
struct Pair {
    a: Option<FileTensor>,
    b: Option<FileTensor>,
    alpha: Option<FileTensor>,
}

impl Pair {
    /// Why it is not for a weight `[outputs, inputs]`.
    fn misfit(&self, [outputs, inputs]: [usize; 2]) -> Option<String> {
        let (Some(a), Some(b)) = (&self.a, &self.b) else { return Some("has only one of A and B".into()) };
        let rank = a.shape.first().copied().unwrap_or_default();
        let fits = a.shape == [rank, inputs] && b.shape == [outputs, rank] && rank > 0;
        (!fits).then(|| format!("has A {:?} and B {:?}, for a weight of [{outputs}, {inputs}]", a.shape, b.shape))
    }

    /// (α/r) · B A `[outputs, inputs]`; or why not.
    fn product(self, beside: &Settings, device: &Device) -> Result<Tensor<2>, String> {
        let (Some(a), Some(b)) = (self.a, self.b) else { return Err("has only one of A and B".into()) };
        let rank = a.shape.first().copied().unwrap_or_default() as f64;
        let alpha = match self.alpha {
            Some(alpha) => alpha.read()?.iter::<f64>().next(),
            None => beside.alpha,
        };
        let over = if beside.square_root { rank.sqrt() } else { rank };
        let scale = alpha.map_or(1.0, |alpha| alpha / over);
        let read = |tensor: FileTensor| -> Result<Tensor<2>, String> {
            let data = tensor.read()?.convert::<f32>();
            match data.iter::<f32>().all(f32::is_finite) && scale.is_finite() {
                true => Ok(Tensor::from_data(data, device)),
                false => Err("holds a NaN or an infinity".into()),
            }
        };
        Ok(read(b)?.matmul(read(a)?).mul_scalar(scale))
    }
}

/// What is added to some rows of a weight.
struct Planned {
    name: String,
    rows: Vec<usize>,
    pair: Pair,
}

/// The adapters of a file, by the names of their layers.
struct Pairs {
    pairs: BTreeMap<String, Pair>,
    /// Names of something else.
    strange: Vec<String>,
}

impl Pairs {
    fn of(stored: Stored) -> Self {
        let (mut pairs, mut strange) = (BTreeMap::<String, Pair>::new(), Vec::new());
        for (name, tensor) in stored {
            let layer = |end: &str| name.strip_suffix(end).map(without_prefix);
            let a = ENDS.iter().find_map(|[a, _]| layer(a));
            let b = ENDS.iter().find_map(|[_, b]| layer(b));
            match (a, b, layer(ALPHA)) {
                (Some(layer), _, _) => pairs.entry(layer).or_default().a = Some(tensor),
                (_, Some(layer), _) => pairs.entry(layer).or_default().b = Some(tensor),
                (_, _, Some(layer)) => pairs.entry(layer).or_default().alpha = Some(tensor),
                _ => strange.push(name),
            }
        }
        Self { pairs, strange }
    }
}

fn without_prefix(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name.to_string()
}

/// Adds what is planned, a weight at a time.
struct Add {
    place: Place,
    plans: BTreeMap<String, Vec<Planned>>,
    beside: Settings,
    wrong: Option<Said>,
}

impl Add {
    /// What is added to a weight `[inputs, outputs]`.
    fn delta(&mut self, parts: Vec<Planned>, [inputs, outputs]: [usize; 2], device: &Device) -> Option<Tensor<2>> {
        let mut delta = Tensor::<2>::zeros([outputs, inputs], device);
        for Planned { name, rows, pair } in parts {
            let product =
                pair.product(&self.beside, device).map_err(|what| self.wrong = Some(Said { name, what })).ok()?;
            let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
            let rows = Tensor::<1, Int>::from_data(TensorData::from(rows.as_slice()), device);
            delta = delta.select_assign(0, rows, product, IndexingUpdateOp::Add);
        }
        Some(delta.transpose())
    }
}

impl ModuleMapper for Add {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.place.path();
        let Some(parts) = path.strip_suffix(".weight").and_then(|layer| self.plans.remove(layer)) else { return param };
        let Ok(sides) = <[usize; 2]>::try_from(param.lazy_shape().to_vec()) else { return param };
        param.map(|old| {
            let plain = old.clone().without_autodiff();
            let Some(delta) = self.delta(parts, sides, &plain.device()) else { return old };
            let sum = plain + delta.reshape(old.shape());
            match old.is_autodiff() {
                true => Tensor::from_inner(sum).set_require_grad(old.is_require_grad()),
                false => sum,
            }
        })
    }
}
