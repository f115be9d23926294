//! What belongs to a latent, by its name: the same path, the same file name, or the same number at its end.
use super::labels::{Entry, arrays};
use crate::data::listing::first;
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// How two names are compared.
type Key = fn(&str) -> &str;

/// A way of pairing.
struct Rule {
    key: Key,
    /// Whether it is only for names that differ in nothing but their numbers: it would pair `cat1` with `dog1`.
    only_numbered: bool,
}

/// From the strictest to the loosest.
const RULES: [Rule; 3] = [
    Rule { key: path, only_numbered: false },
    Rule { key: stem, only_numbered: false },
    Rule { key: number, only_numbered: true },
];

/// The files of `folder` that belong to `entries`, one each, in their order; `what` they are, for messages. Those of
/// latents that are there but `unlisted` are left alone.
///
/// # Errors
/// [`Error::Format`] naming latents without a file and files without a latent.
pub(super) fn paired(folder: &Path, entries: &[Entry], unlisted: &[String], what: &str) -> Result<Vec<String>> {
    let names = arrays(folder)?;
    let mut nearest: Option<Vec<String>> = None;
    for Rule { key, only_numbered } in RULES {
        let all = || entries.iter().map(|(name, _)| name.as_str());
        if only_numbered && !(are_numbered(all()) && are_numbered(names.iter().map(String::as_str))) {
            continue;
        }
        let Some(files) = unique(names.iter().map(String::as_str), key) else { continue };
        let Some(latents) = unique(all(), key) else { continue };
        let missing = entries.iter().filter(|(name, _)| !files.contains_key(key(name)));
        let mut wrong: Vec<String> = missing.map(|(name, _)| format!("{name} has no {what}")).collect();
        let left_out: HashSet<&str> = unlisted.iter().map(|name| key(name)).collect();
        let known = |name: &str| latents.contains_key(key(name)) || left_out.contains(key(name));
        let extra = names.iter().filter(|name| !known(name));
        wrong.extend(extra.map(|name| format!("{name} belongs to no latent")));
        if wrong.is_empty() {
            return Ok(entries.iter().map(|(name, _)| files[key(name)].to_string()).collect());
        }
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

/// Whether the names differ in nothing but their folders and the numbers at their ends, as `img-feature-00000007` do.
fn are_numbered<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut words = names.map(|name| stem(name).trim_end_matches(|c: char| c.is_ascii_digit()));
    let first = words.next();
    words.all(|word| Some(word) == first)
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
pub(super) fn number(name: &str) -> &str {
    let stem = stem(name);
    let digits = &stem[stem.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
    let number = digits.trim_start_matches('0');
    if number.is_empty() && !digits.is_empty() { &digits[digits.len() - 1..] } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(latents: &[&str], files: &[&str]) -> Result<Vec<String>, String> {
        pairs_beside(latents, &[], files)
    }

    fn pairs_beside(latents: &[&str], unlisted: &[&str], files: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, b"").unwrap();
        }
        let entries: Vec<Entry> = latents.iter().map(|name| (name.to_string(), 0)).collect();
        let unlisted: Vec<String> = unlisted.iter().map(|name| name.to_string()).collect();
        paired(folder.path(), &entries, &unlisted, "prompt").map_err(|e| e.to_string())
    }

    #[test]
    fn a_number_pairs_only_names_that_differ_in_nothing_else() {
        let error = pairs(&["cat1.npy", "dog2.npy"], &["dog1.npy", "cat2.npy"]).unwrap_err();
        for says in
            ["cat1.npy has no prompt", "dog2.npy has no prompt", "dog1.npy belongs to no", "cat2.npy belongs to no"]
        {
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(pairs(&["cat1.npy", "dog2.npy"], &["a/dog2.npy", "cat1.npy"]).unwrap(), ["cat1.npy", "a/dog2.npy"]);
    }

    #[test]
    fn a_file_without_latent_is_an_error_unless_that_is_left_out_by_the_list() {
        let error = pairs(&["cat.npy", "dog.npy"], &["t/dog.npy", "t/cat.npy", "t/unused.npy"]).unwrap_err();
        assert!(error.contains("t/unused.npy belongs to no latent") && !error.contains("dog"), "{error}");
        let files = ["t/dog.npy", "t/cat.npy", "t/unused.npy"];
        assert_eq!(pairs_beside(&["cat.npy", "dog.npy"], &["unused.npy"], &files).unwrap(), ["t/cat.npy", "t/dog.npy"]);
        let files = ["f-1.npy", "f-2.npy", "f-3.npy"];
        assert_eq!(pairs_beside(&["m-1.npy", "m-2.npy"], &["m-3.npy"], &files).unwrap(), ["f-1.npy", "f-2.npy"]);
        assert!(pairs(&["m-1.npy", "m-2.npy"], &files).unwrap_err().contains("f-3.npy belongs to no latent"));
    }

    #[test]
    fn names_decide_and_places_do_not() {
        let found = pairs(&["a/x.npy", "b/x.npy"], &["b/x.safetensors", "a/x.safetensors"]);
        assert_eq!(found.unwrap(), ["a/x.safetensors", "b/x.safetensors"]);
        let found = pairs(&["cat.npy", "dog.npy"], &["t/dog.npy", "t/cat.npy"]);
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
