//! What belongs to a latent, by its name: the same path, the same file name, or the same number at its end.
use super::labels::{Entry, arrays};
use crate::data::listing::first;
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// How two names are compared.
type Key = fn(&str) -> &str;

/// From the strictest to the loosest.
const KEYS: [Key; 3] = [path, stem, number];

/// The files of `folder` that belong to `entries`, one each, in their order; `what` they are, for messages.
///
/// # Errors
/// [`Error::Format`] naming latents without a file and files without a latent.
pub(super) fn paired(folder: &Path, entries: &[Entry], what: &str) -> Result<Vec<String>> {
    let names = arrays(folder)?;
    let mut nearest: Option<Vec<String>> = None;
    for key in KEYS {
        let Some(files) = unique(names.iter().map(String::as_str), key) else { continue };
        let Some(latents) = unique(entries.iter().map(|(name, _)| name.as_str()), key) else { continue };
        let missing = entries.iter().filter(|(name, _)| !files.contains_key(key(name)));
        let mut wrong: Vec<String> = missing.map(|(name, _)| format!("{name} has no {what}")).collect();
        if wrong.is_empty() {
            return Ok(entries.iter().map(|(name, _)| files[key(name)].to_string()).collect());
        }
        let extra = names.iter().filter(|name| !latents.contains_key(key(name)));
        wrong.extend(extra.map(|name| format!("{name} belongs to no latent")));
        if nearest.as_ref().is_none_or(|found| wrong.len() < found.len()) {
            nearest = Some(wrong);
        }
    }
    let wrong = nearest.unwrap_or_else(|| vec!["several files have one name, but for folders or extensions".into()]);
    let (files, latents) = (names.len(), entries.len());
    let message = format!(
        "its {files} file(s) must have the names of the {latents} latent(s), or the same numbers at their ends:{}",
        first(&mixed(wrong))
    );
    Err(Error::format(folder, message))
}

/// One name per key; `None` if a key is empty or two names have the same.
fn unique<'a>(names: impl Iterator<Item = &'a str>, key: Key) -> Option<HashMap<&'a str, &'a str>> {
    let mut found = HashMap::new();
    for name in names {
        if key(name).is_empty() || found.insert(key(name), name).is_some() {
            return None;
        }
    }
    Some(found)
}

/// The first of both kinds, so that a long list of one does not hide the other.
fn mixed(wrong: Vec<String>) -> Vec<String> {
    let (mut without, mut extra): (Vec<String>, Vec<String>) =
        wrong.into_iter().partition(|line| !line.ends_with("belongs to no latent"));
    let rest = without.split_off(without.len().min(5));
    let other = extra.split_off(extra.len().min(5));
    [without, extra, rest, other].concat()
}

/// The path without its extension.
fn path(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((path, extension)) if !extension.contains('/') => path,
        _ => name,
    }
}

/// The file name without folder and extension.
fn stem(name: &str) -> &str {
    let path = path(name);
    path.rsplit_once('/').map_or(path, |(_, stem)| stem)
}

/// The digits at the end of a name, before its extension and without leading zeros.
fn number(name: &str) -> &str {
    let stem = stem(name);
    let digits = &stem[stem.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
    let number = digits.trim_start_matches('0');
    if number.is_empty() && !digits.is_empty() { &digits[digits.len() - 1..] } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(latents: &[&str], files: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, b"").unwrap();
        }
        let entries: Vec<Entry> = latents.iter().map(|name| (name.to_string(), 0)).collect();
        paired(folder.path(), &entries, "prompt").map_err(|e| e.to_string())
    }

    #[test]
    fn names_decide_and_places_do_not() {
        let found = pairs(&["a/x.npy", "b/x.npy"], &["b/x.safetensors", "a/x.safetensors"]);
        assert_eq!(found.unwrap(), ["a/x.safetensors", "b/x.safetensors"]);
        let found = pairs(&["cat.npy", "dog.npy"], &["t/dog.npy", "t/cat.npy", "t/unused.npy"]);
        assert_eq!(found.unwrap(), ["t/cat.npy", "t/dog.npy"]);
        let found = pairs(&["00000/img-mean-std-00000010.npy", "img-mean-std-9.npy"], &["f-09.npy", "f-00010.npy"]);
        assert_eq!(found.unwrap(), ["f-00010.npy", "f-09.npy"]);
        assert_eq!(pairs(&["0.npy", "00.x/10.npy"], &["z000.npy", "z10.npy"]).unwrap(), ["z000.npy", "z10.npy"]);
    }

    #[test]
    fn a_latent_without_its_file_and_a_file_without_latent_are_named() {
        let error = pairs(&["beach.npy", "castle.npy"], &["airport.safetensors", "castle.safetensors"]).unwrap_err();
        assert!(error.contains("beach.npy has no prompt"), "{error}");
        assert!(error.contains("airport.safetensors belongs to no latent"), "{error}");
        assert!(!error.contains("castle"), "{error}");
        let error = pairs(&["a.npy", "b.npy"], &["a.npy"]).unwrap_err();
        assert!(error.contains("b.npy has no prompt") && error.contains("1 file(s)"), "{error}");
        let error = pairs(&["a1.npy", "b1.npy"], &["c1.npy", "d1.npy"]).unwrap_err();
        assert!(error.contains("a1.npy has no prompt") && error.contains("d1.npy belongs to no latent"), "{error}");
    }
}
