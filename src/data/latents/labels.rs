//! The list of latents and their classes: `dataset.json`, as REPA and StyleGAN write it.
use crate::data::listing::{Listing, first, is_hidden, plain};
use crate::data::text::utf8;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

const LABELS: &str = "dataset.json";
const EXTENSIONS: [&str; 2] = ["npy", "safetensors"];
pub(super) const NULL_TEXT: &str = "null.safetensors";

/// Path below the folder, with `/`, and the label.
pub(super) type Entry = (String, i64);

/// The latents of a folder.
#[derive(Debug)]
pub(super) struct Entries {
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// Files of the folder that the list does not name.
    pub unlisted: Vec<String>,
}

#[derive(Deserialize)]
struct Labels {
    labels: Option<Vec<Entry>>,
}

/// The files that `dataset.json` lists with a label in `0..classes`; without classes, all files of the folder. Listed files
/// that are not there are errors if they are more than `most_bad`, and else items that cannot be read.
pub(super) fn labelled(folder: &Path, classes: usize, most_bad: usize) -> Result<Entries> {
    let names = arrays(folder)?;
    if classes == 0 {
        return Ok(Entries { entries: names.into_iter().map(|name| (name, 0)).collect(), unlisted: Vec::new() });
    }
    let file = folder.join(LABELS);
    let text = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
    let Labels { labels } = parse(&text).map_err(|message| Error::format(&file, message))?;
    let mut entries = labels.ok_or_else(|| Error::format(&file, "has no labels, but there are classes"))?;
    if entries.is_empty() {
        return Err(Error::format(&file, "lists no latent"));
    }
    entries.iter_mut().for_each(|(name, _)| *name = plain(name));
    entries.sort();
    let mut wrong = Vec::new();
    let hidden = entries.iter().filter(|(name, _)| is_hidden(name));
    wrong.extend(
        hidden.map(|(name, _)| format!("{name} is hidden, and hidden files are no data: take it from the list")),
    );
    let beyond = entries.iter().filter(|(_, label)| !(0..classes as i64).contains(label));
    wrong.extend(beyond.map(|(name, label)| format!("{name} has label {label}: must be in 0..{classes}")));
    let twice = entries.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    wrong.extend(twice.map(|pair| format!("{} is listed twice", pair[0].0)));
    let there: HashSet<&str> = names.iter().map(String::as_str).collect();
    let absent = entries.iter().filter(|(name, _)| !there.contains(name.as_str()) && !folder.join(name).is_file());
    let absent: Vec<String> = absent.map(|(name, _)| format!("{name} is listed but not there")).collect();
    if absent.len() > most_bad {
        wrong.extend(absent);
    }
    if !wrong.is_empty() {
        return Err(Error::format(&file, first(&wrong)));
    }
    let listed: HashSet<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    let unlisted = names.iter().filter(|name| !listed.contains(name.as_str())).cloned().collect();
    Ok(Entries { entries, unlisted })
}

fn parse(text: &[u8]) -> Result<Labels, String> {
    let must = r#"must be {"labels": [["NAME", CLASS], …]} with whole numbers as classes"#;
    serde_json::from_slice(utf8(text)?).map_err(|e| format!("{e}: {must}"))
}

/// The `.npy` and `.safetensors` files below a folder, at least one, but that of the empty prompt.
pub(super) fn arrays(folder: &Path) -> Result<Vec<String>> {
    let mut listing = Listing::of(folder, &EXTENSIONS)?;
    listing.names.retain(|name| name != NULL_TEXT);
    if listing.names.is_empty() {
        let found = listing.found_instead();
        return Err(Error::format(folder, format!("holds no .npy or .safetensors file; found: {found}")));
    }
    Ok(listing.names)
}
