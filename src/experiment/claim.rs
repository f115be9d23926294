//! Whose results a folder holds.
use super::config::ExperimentConfig;
use super::files::{pretty, write};
use super::kept_weights::has_weights;
use crate::checkpoint::{self, CHECKPOINTS, differences};
use crate::data::DataFingerprint;
use crate::post_train::StageConfig;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// The sections that decide what weights come out. Others may change: what they make is kept under a hash of them.
const KEPT: [&str; 5] = ["data", "network", "flow", "start", "post_train"];

/// The file that keeps the configuration of a folder.
pub(super) const CONFIG: &str = "config.json";

/// The file that keeps which data the results in a folder are of.
const DATA: &str = "data.json";

/// The folder of the arms of a table.
const ARMS: &str = "arms";

/// Keeps in `folder` which data its results are of, unless they are of others. A training may go on with data that have
/// changed if that is `accepted`; in a table all cells are of the same. Where there is no result yet, there is a warning.
///
/// # Errors
/// [`Error::OtherData`] if they are of others; [`Error::Io`] and [`Error::Format`] if the file cannot be read or written.
pub(super) fn data(folder: &Path, now: &DataFingerprint, accepted: bool) -> Result<()> {
    let file = folder.join(DATA);
    let kept: Option<DataFingerprint> = json(&file, |e| format!("is damaged ({e}): remove it"))?;
    let differences = kept.as_ref().map_or(Vec::new(), |kept| kept.differences(now));
    let compares = folder.join(ARMS).exists();
    let trained = folder.join("post_train");
    let holds = compares || has_weights(&trained) || checkpoint::newest_step(&trained.join(CHECKPOINTS)) > 0;
    match differences.is_empty() {
        false if holds && (!accepted || compares) => {
            return Err(Error::OtherData { path: folder.to_path_buf(), differences });
        }
        false if !holds => {
            let (folder, list) = (folder.display(), differences.join("; "));
            crate::monitor::warn(&format!(
                "{folder}: the data have changed since it was begun, so that what was pretrained is made again: {list}"
            ));
        }
        _ => {}
    }
    if kept.as_ref() != Some(now) {
        write(&file, &pretty(now)?)?;
    }
    Ok(())
}

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
        // Whoever bears more bad items goes on with the same training.
        differs.retain(|difference: &String| !difference.starts_with("data.max_bad_items:"));
        if config.gamma_is_auto() {
            differs.retain(|difference: &String| !difference.starts_with("post_train.strategy.gamma:"));
        }
        let arms = folder.join(ARMS).exists();
        differs.retain(|difference| !may_change(difference, arms));
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

/// Whether a difference is one that a training goes on with: how it is kept, and where there are no arms that are compared,
/// its number of steps, of which its checkpoints know more.
fn may_change(difference: &str, arms: bool) -> bool {
    let of = |section: &str, key: &str| difference.strip_prefix(section).is_some_and(|rest| rest.starts_with(key));
    let is_kept = StageConfig::WITHOUT_EFFECT.iter().any(|key| of("post_train.", key) || of("start.", key));
    is_kept || !arms && of("post_train.", "steps:")
}

/// The configuration that a folder keeps; none if it keeps none.
fn kept(folder: &Path) -> Result<Option<Value>> {
    json(&folder.join(CONFIG), |e| format!("is not JSON: {e}"))
}

/// What a file holds; none if it is not there. `wrong` says what is the matter if it holds something else.
fn json<T: DeserializeOwned>(file: &Path, wrong: impl Fn(serde_json::Error) -> String) -> Result<Option<T>> {
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::format(file, wrong(e)))
}

/// The γ that the results in `folder` were trained with, if its configuration says one.
pub fn gamma(folder: &Path) -> Option<f64> {
    kept(folder).ok()??.pointer("/post_train/strategy/gamma")?.as_f64()
}

/// Looks whether the configuration can be read that the folder of a training or the one above it keeps, if one does.
///
/// # Errors
/// As [`ExperimentConfig::read`].
pub(super) fn readable(training: &Path) -> Result<()> {
    let read = |folder: &Path| match folder.join(CONFIG) {
        file if file.is_file() => ExperimentConfig::read(file).map(drop),
        _ => Ok(()),
    };
    [Some(training), training.parent()].into_iter().flatten().try_for_each(read)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_only_kept_otherwise_may_change_and_steps_where_nothing_is_compared() {
        let changes = |difference: &str| [may_change(difference, false), may_change(difference, true)];
        assert_eq!(changes("post_train.steps: was 10, now 20"), [true, false]);
        assert_eq!(changes("post_train.checkpoints: was null, now {}"), [true, true]);
        assert_eq!(changes("post_train.steps_per_epoch: was 1, now 2"), [false, false]);
        assert_eq!(changes("start.steps: was 10, now 20"), [false, false]);
    }

    #[test]
    fn results_of_other_data_are_refused_unless_a_training_accepts_them() {
        let folder = tempfile::tempdir().unwrap();
        let print = |contents: &str| DataFingerprint {
            items: 5,
            held_out: 2,
            classes: 0,
            names: String::new(),
            labels: String::new(),
            split: String::new(),
            contents: contents.into(),
        };
        let claim = |contents: &str, accepted| data(folder.path(), &print(contents), accepted);
        claim("a", false).unwrap();
        // Nothing was made of them.
        claim("c", false).unwrap();
        claim("a", true).unwrap();
        std::fs::create_dir(folder.path().join("post_train")).unwrap();
        std::fs::write(folder.path().join("post_train/ema.bpk"), "weights").unwrap();
        let error = claim("b", false).unwrap_err().to_string();
        assert!(error.contains("holds the results of other data") && error.contains("the contents differ"), "{error}");
        claim("b", true).unwrap();
        claim("b", false).unwrap();
        std::fs::create_dir(folder.path().join("arms")).unwrap();
        assert!(matches!(claim("a", true), Err(Error::OtherData { .. })));
        std::fs::write(folder.path().join(DATA), "{").unwrap();
        assert!(claim("b", false).unwrap_err().to_string().contains("data.json: is damaged"));
    }

    #[test]
    fn a_training_of_another_seed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        same_draws(folder.path(), 5).unwrap();
        std::fs::write(folder.path().join(CONFIG), json!({"compare": {"seeds": [3, 4]}}).to_string()).unwrap();
        same_draws(folder.path(), 3).unwrap();
        let error = same_draws(folder.path(), 4).unwrap_err().to_string();
        assert!(error.contains("compare.seeds[0]: was 3, now 4"), "{error}");
    }
}
