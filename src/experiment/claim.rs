//! Whose results a folder holds.
use super::config::ExperimentConfig;
use super::files::{pretty, write};
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// The sections that decide what weights come out. Others may change: what they make is kept under a hash of them.
const KEPT: [&str; 5] = ["data", "network", "flow", "start", "post_train"];

/// The file that keeps the configuration of a folder.
pub(super) const CONFIG: &str = "config.json";

/// Keeps the merged configuration in `folder`, unless that holds the results of another one.
///
/// # Errors
/// As [`check`]; [`Error::Io`] if the file cannot be written.
pub fn folder(folder: &Path, config: &ExperimentConfig) -> Result<()> {
    check(folder, config)?;
    write(&folder.join(CONFIG), &pretty(&config.to_json()?)?)
}

/// Looks whether `folder` is free for the results of `config`. A γ that is still to be chosen agrees with any.
///
/// # Errors
/// [`Error::Invalid`] with each key that differs, its old value and its new one; [`Error::Io`] if the file cannot be read,
/// [`Error::Format`] if it is not JSON.
pub fn check(folder: &Path, config: &ExperimentConfig) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::Invalid(format!("--folder {}: is a file; name a folder for the results", folder.display())));
    }
    let new = config.to_json()?;
    if let Some(old) = kept(folder)? {
        let mut differs = Vec::new();
        for key in KEPT {
            differences(&old[key], &new[key], key, &mut differs);
        }
        if config.gamma_is_auto() {
            differs.retain(|difference: &String| !difference.starts_with("post_train.strategy.gamma:"));
        }
        if !differs.is_empty() {
            let (folder, list) = (folder.display(), differs.join("\n  "));
            let message = format!(
                "{folder}: holds the results of another configuration; take another --folder, or remove it:\n  {list}"
            );
            return Err(Error::Invalid(message));
        }
    }
    Ok(())
}

/// The configuration that a folder keeps; none if it keeps none.
fn kept(folder: &Path) -> Result<Option<Value>> {
    let file = folder.join(CONFIG);
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::format(&file, format!("is not JSON: {e}")))
}

/// Looks whether the one training in `folder` drew with this seed, the first of `compare.seeds`: another would go on with
/// other draws, or find the training done.
///
/// # Errors
/// [`Error::Invalid`] with both seeds; as [`check`].
pub(super) fn same_draws(folder: &Path, seed: u64) -> Result<()> {
    let old = kept(folder)?;
    match old.as_ref().and_then(|old| old.pointer("/compare/seeds/0")?.as_u64()) {
        Some(was) if was != seed => Err(Error::Invalid(format!(
            "{}: its training drew with another seed; take another --folder, or remove it:\n  compare.seeds[0]: was {was}, \
             now {seed}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn differences(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in b {
                differences(a.get(key).unwrap_or(&Value::Null), value, &format!("{path}.{key}"), found);
            }
            for (key, value) in a.iter().filter(|(key, _)| !b.contains_key(*key)) {
                differences(value, &Value::Null, &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (old, new)) in a.iter().zip(b).enumerate() {
                differences(old, new, &format!("{path}[{i}]"), found);
            }
        }
        (old, new) if old != new => found.push(format!("{path}: was {old}, now {new}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_training_of_another_seed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        same_draws(folder.path(), 5).unwrap();
        std::fs::write(folder.path().join(CONFIG), json!({"compare": {"seeds": [3, 4]}}).to_string()).unwrap();
        same_draws(folder.path(), 3).unwrap();
        let error = same_draws(folder.path(), 4).unwrap_err().to_string();
        assert!(error.contains("compare.seeds[0]: was 3, now 4"), "{error}");
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let (old, new) = (json!({"a": {"b": 1, "c": 2}, "d": [1]}), json!({"a": {"b": 3, "e": 4}, "d": [1]}));
        let mut found = Vec::new();
        differences(&old, &new, "x", &mut found);
        assert_eq!(found, ["x.a.b: was 1, now 3", "x.a.e: was null, now 4", "x.a.c: was 2, now null"]);
        let (old, new) = (json!([{"a": 1}, 2]), json!([{"a": 3}, 2]));
        differences(&old, &new, "y", &mut found);
        differences(&old, &json!([5]), "z", &mut found);
        assert_eq!(found[3..], ["y[0].a: was 1, now 3", "z: was [{\"a\":1},2], now [5]"]);
    }
}
