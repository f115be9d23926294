//! Where the value of a problem stands: on the command line, or in a file that is extended.
use crate::{Error, Problem};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What one file says by itself.
#[derive(Debug)]
pub(super) struct Layer {
    /// The file.
    pub file: PathBuf,
    /// Its own keys.
    pub own: Value,
}

/// The problems of a configuration as those of `file`, each with where its value stands. Any other error stays.
pub(super) fn named(error: Error, file: &Path, layers: &[Layer], settings: &[String]) -> Error {
    match error {
        Error::Config(mut problems) => {
            problems.iter_mut().for_each(|problem| name(problem, layers, settings));
            Error::ConfigFile { path: file.to_path_buf(), problems }
        }
        other => other,
    }
}

/// Adds to a problem which of `settings`, or which of `layers` but the first, its value comes from.
fn name(problem: &mut Problem, layers: &[Layer], settings: &[String]) {
    let pointer = pointer(&problem.path);
    let of_setting = |setting: &&String| {
        let key = setting.split_once('=').map_or("", |(key, _)| key);
        let set = self::pointer(key);
        begins(&pointer, &set) || begins(&set, &pointer)
    };
    if let Some(setting) = settings.iter().rev().find(of_setting) {
        problem.message += &format!("; it comes from --set {}", short(setting));
    } else if let Some(layer) = layers.iter().position(|layer| layer.own.pointer(&pointer).is_some()).filter(|i| *i > 0)
    {
        problem.message += &format!("; it stands in {}", layers[layer].file.display());
    }
}

/// `a.b[0]` as `/a/b/0`, up to the first word that is no key.
fn pointer(path: &str) -> String {
    let path = path.split(' ').next().unwrap_or_default();
    let keys = path.replace('[', ".").replace(']', "");
    keys.split('.').map(|key| format!("/{key}")).collect()
}

/// Whether `path` is `of` or lies below it.
fn begins(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A setting in at most one line.
pub(super) fn short(setting: &str) -> String {
    let cut: String = setting.chars().take(80).collect();
    if cut.len() < setting.len() { cut + "…" } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_says_where_its_value_stands() {
        let layer = |file: &str, own| Layer { file: file.into(), own };
        let layers = [
            layer("top.json", json!({"post_train": {"steps": 1}})),
            layer("base.json", json!({"post_train": {"steps": 2, "batch_size": 3}, "compare": {"seeds": [1, 2]}})),
        ];
        let settings = ["sample.count=0".to_string(), "start.optimizer={\"learning_rate\": 5}".to_string()];
        let named = |path: &str| {
            let mut problem = Problem { path: path.into(), message: "= 0: must not".into() };
            name(&mut problem, &layers, &settings);
            problem.message.trim_start_matches("= 0: must not").to_string()
        };
        assert_eq!(named("post_train.steps"), "");
        assert_eq!(named("post_train.batch_size"), "; it stands in base.json");
        assert_eq!(named("compare.seeds[1]"), "; it stands in base.json");
        assert_eq!(named("sample.count"), "; it comes from --set sample.count=0");
        assert_eq!(
            named("start.optimizer.learning_rate"),
            "; it comes from --set start.optimizer={\"learning_rate\": 5}"
        );
        assert_eq!(named("sample.counter"), "");
    }
}
