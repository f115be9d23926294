//! Tensors spread over several files, `model-00001-of-00002.safetensors`, and the index that lists them.
use super::kind;
use super::{Stored, open_as};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// How the name of an index ends.
const INDEX: &str = ".index.json";
/// How names of files of weights end.
const WEIGHTS: [&str; 6] = [".safetensors", ".sft", ".pt", ".pth", ".ckpt", ".bin"];
/// The longest index that is read.
const LONGEST_INDEX: u64 = 100_000_000;

#[derive(Deserialize)]
struct Index {
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// Every file that is read for `named`: a file alone is itself, an index comes with its shards.
///
/// # Errors
/// As [`open`](super::open).
#[cfg(feature = "experiment")]
pub(crate) fn files(named: &Path) -> Result<Vec<PathBuf>> {
    let file = opened_for(named)?;
    let is_index = kind::of(&file)? == kind::FileKind::Index;
    let shards = if is_index { Shards::of(&file)?.files } else { BTreeMap::new() };
    Ok([file].into_iter().chain(shards.into_values()).collect())
}

/// The file that is opened for `named`: the index for a folder or for one of its shards.
pub(super) fn opened_for(named: &Path) -> Result<PathBuf> {
    if named.is_dir() {
        return in_folder(named);
    }
    let name = named.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let Some(whole) = without_number(&name) else { return Ok(named.to_path_buf()) };
    let index = named.with_file_name(format!("{whole}{INDEX}"));
    if index.is_file() {
        return Ok(index);
    }
    let message = format!("is one of several shards, and their index `{whole}{INDEX}` is not beside it: get that too");
    Err(Error::format(named, message))
}

/// `model.safetensors` for `model-00001-of-00002.safetensors`.
fn without_number(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let (stem, of) = stem.rsplit_once("-of-")?;
    let (stem, number) = stem.rsplit_once('-')?;
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(of) && is_number(number)).then(|| format!("{stem}.{ending}"))
}

/// The one index of a folder, else its one file of weights.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let io = |e| Error::io(folder, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    let ending = |name: &&String, endings: &[&str]| endings.iter().any(|end| name.to_lowercase().ends_with(end));
    let indices: Vec<&String> = names.iter().filter(|name| ending(name, &[INDEX])).collect();
    let weights: Vec<&String> = names.iter().filter(|name| ending(name, &WEIGHTS)).collect();
    let wrong = |message: String| Err(Error::format(folder, message));
    match (indices.as_slice(), weights.as_slice()) {
        ([one], _) | ([], [one]) => Ok(folder.join(one)),
        ([], []) if names.iter().any(|name| name == "model_index.json") => wrong(
            "is a folder of diffusers, whose layout is not read: take the official .safetensors or .pt file".into(),
        ),
        ([], []) => wrong("is a folder without a file of weights: name the file".into()),
        ([], several) if several.iter().all(|name| without_number(name).is_some()) => {
            wrong(format!("is a folder of {} shards without their index `….index.json`: get that too", several.len()))
        }
        ([], several) | (several, _) => {
            let listed: Vec<String> = several.iter().take(8).map(|name| format!("`{name}`")).collect();
            wrong(format!("is a folder with {} files of weights: name one of {}", several.len(), listed.join(", ")))
        }
    }
}

/// An index whose shards are all there.
struct Shards {
    /// The shard of each tensor.
    of: BTreeMap<String, String>,
    /// The path of each shard.
    files: BTreeMap<String, PathBuf>,
}

impl Shards {
    fn of(index: &Path) -> Result<Self> {
        let wrong = |message: String| Error::format(index, message);
        let length = std::fs::metadata(index).map_err(|e| Error::io(index, e))?.len();
        if length > LONGEST_INDEX {
            return Err(wrong(format!("has {length} bytes, too many for an index of shards")));
        }
        let bytes = std::fs::read(index).map_err(|e| Error::io(index, e))?;
        let Index { weight_map: of } =
            serde_json::from_slice(&bytes).map_err(|e| wrong(format!("is no index of shards: {e}")))?;
        let mut files = BTreeMap::new();
        for shard in of.values().collect::<BTreeSet<_>>() {
            // A name of the index may not reach out of its folder.
            let is_within = Path::new(shard).components().all(|part| matches!(part, Component::Normal(_)));
            if shard.is_empty() || !is_within {
                return Err(wrong(format!("names the shard `{shard}`, which is not below its folder: refused")));
            }
            files.insert(shard.clone(), index.with_file_name(shard));
        }
        if files.is_empty() {
            return Err(wrong("names no shard".into()));
        }
        let absent: Vec<String> =
            files.iter().filter(|(_, file)| !file.is_file()).map(|(shard, _)| format!("`{shard}`")).collect();
        if !absent.is_empty() {
            let [is, all] = [absent.len(), files.len()];
            return Err(wrong(format!("{is} of its {all} shards not there: get {} too", absent.join(", "))));
        }
        Ok(Self { of, files })
    }
}

/// The tensors of all shards of an index.
pub(super) fn open(index: &Path) -> Result<Stored> {
    let shards = Shards::of(index)?;
    let mut tensors = Stored::new();
    for (shard, file) in &shards.files {
        for (name, tensor) in open_as(kind::of(file)?, file)? {
            match shards.of.get(&name) {
                Some(right) if right == shard => tensors.insert(name, tensor),
                Some(other) => {
                    return Err(Error::format(file, format!("holds `{name}`, which the index says is in `{other}`")));
                }
                None => return Err(Error::format(file, format!("holds `{name}`, which the index does not list"))),
            };
        }
    }
    match shards.of.iter().find(|(name, _)| !tensors.contains_key(*name)) {
        None => Ok(tensors),
        Some((name, shard)) => {
            Err(Error::format(index, format!("says that `{name}` is in `{shard}`, which has it not")))
        }
    }
}
