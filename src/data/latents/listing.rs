//! Which files there are, in sorted order.
use crate::{Error, Result};
use serde::Deserialize;
use std::path::Path;

const LABELS: &str = "dataset.json";
pub(super) const NULL_TEXT: &str = "null.safetensors";

/// Folders within folders that are listed.
const DEEPEST: usize = 16;

/// Path below the folder, with `/`, and the label.
pub(super) type Entry = (String, i64);

#[derive(Deserialize)]
struct Labels {
    labels: Option<Vec<Entry>>,
}

/// The files that `dataset.json` lists with a label in `0..classes`; without classes, all files of the folder.
pub(super) fn labelled(folder: &Path, classes: usize) -> Result<Vec<Entry>> {
    if classes == 0 {
        return Ok(arrays(folder)?.into_iter().map(|name| (name, 0)).collect());
    }
    let file = folder.join(LABELS);
    let text = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
    let Labels { labels } = serde_json::from_slice(&text).map_err(|e| Error::format(&file, e.to_string()))?;
    let mut entries = labels.ok_or_else(|| Error::format(&file, "has no labels, but there are classes"))?;
    entries.sort();
    if let Some((name, label)) = entries.iter().find(|(_, label)| !(0..classes as i64).contains(label)) {
        return Err(Error::format(&file, format!("{name} has label {label}: must be in 0..{classes}")));
    }
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::format(&file, format!("{} is listed twice", pair[0].0)));
    }
    Ok(entries)
}

/// The `.npy` and `.safetensors` files below a folder, but that of the empty prompt.
pub(super) fn arrays(folder: &Path) -> Result<Vec<String>> {
    files(folder, &["npy", "safetensors"])
}

/// The files below a folder with one of the extensions, sorted.
pub(super) fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inner) = folders.pop() {
        let path = folder.join(&inner);
        for entry in std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))? {
            let entry = entry.map_err(|e| Error::io(&path, e))?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(Error::format(entry.path(), "has a name that is not UTF-8"));
            };
            let name = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let kind = entry.file_type().map_err(|e| Error::io(entry.path(), e))?;
            // Links are followed: large sets are often linked together.
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                if name.matches('/').count() >= DEEPEST {
                    return Err(Error::format(entry.path(), "lies too deep: is a folder linked into itself?"));
                }
                folders.push(name);
            } else if extensions.iter().any(|e| Path::new(&name).extension() == Some(e.as_ref())) && name != NULL_TEXT {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The files of `folder` that belong to `entries`, one each.
pub(super) fn paired(folder: &Path, entries: &[Entry]) -> Result<Vec<String>> {
    let names = arrays(folder)?;
    if names.len() != entries.len() {
        return Err(Error::format(folder, format!("holds {} files for {} latents", names.len(), entries.len())));
    }
    for (name, (latent, _)) in names.iter().zip(entries) {
        let numbers = [name, latent].map(|name| number(name));
        if numbers[0] != numbers[1] && numbers.iter().all(|n| !n.is_empty()) {
            return Err(Error::format(folder.join(name), format!("stands at the place of {latent}")));
        }
    }
    Ok(names)
}

/// The digits at the end of a name, before its extension.
fn number(name: &str) -> &str {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    &stem[stem.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]
}
