//! A file, those it extends, and what the command line sets, as one checked configuration.
use super::origin::{self, Layer};
use super::{ExperimentConfig, auto_gamma, editor_schema, keys, retired};
use crate::{Error, Problem, Result, json};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Parts of a key on the command line, at most.
const DEEPEST_KEY: usize = 64;

/// Files that extend one another, at most.
const DEEPEST: usize = 16;

impl ExperimentConfig {
    /// Reads and checks a JSON file with those that it extends. Files that the configuration names are not opened.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read; [`Error::Format`] for one that is not JSON, or that extends itself;
    /// [`Error::ConfigFile`] with every problem.
    pub fn read(file: impl AsRef<Path>) -> Result<Self> {
        Self::read_with(file, &[])
    }

    /// As [`read`](Self::read), with `settings` of the form `post_train.steps=100` laid over the file.
    ///
    /// A value is JSON, or else a text; `compare.seeds[0]=7` replaces an entry of a list.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Format`] for a setting that has no `=`, or whose path goes through something
    /// that is no object or list. Problems of values that do not stand in `file` itself say which setting or file they
    /// come from.
    pub fn read_with(file: impl AsRef<Path>, settings: &[String]) -> Result<Self> {
        let file = file.as_ref();
        let mut layers = Vec::new();
        let mut config = merged(file, &mut Vec::new(), &mut layers)?;
        for setting in settings {
            set(&mut config, setting)
                .map_err(|why| Error::format(file, format!("--set {}: {why}", origin::short(setting))))?;
        }
        Self::from_value(config).map_err(|error| origin::named(error, file, &layers, settings))
    }

    /// [`Error::Config`] as [`Error::ConfigFile`], as [`read_with`](Self::read_with) would report it: a problem that shows
    /// only when data and devices are opened. Any other error stays.
    pub fn of_file(error: Error, file: impl AsRef<Path>, settings: &[String]) -> Error {
        let (file, mut layers) = (file.as_ref(), Vec::new());
        // A file that cannot be read by now is named all the same.
        let _ = merged(file, &mut Vec::new(), &mut layers);
        origin::named(error, file, &layers, settings)
    }

    /// Parses and checks a JSON text, which extends nothing.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem: unknown, missing, mistyped and renamed keys, or, once all of these are right,
    /// every value that violates a condition or would be ignored.
    pub fn parse(text: &str) -> Result<Self> {
        let config =
            json::parse(text.as_bytes()).map_err(|message| Error::Invalid(format!("the configuration {message}")))?;
        Self::from_value(config)
    }

    fn from_value(mut config: Value) -> Result<Self> {
        let auto = auto_gamma::take(&mut config);
        let mut problems = retired::problems(&config);
        // The word is taken out by now, so that anywhere else it is no number.
        let unknown = keys::problems(&config);
        let named = |problem: &Problem| {
            let below = |path: &str| {
                problem.path.strip_prefix(path).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            };
            problems.iter().any(|old| below(&old.path))
        };
        let unknown: Vec<Problem> = unknown.into_iter().filter(|problem| !named(problem)).collect();
        problems.extend(unknown);
        if config.get("extends").is_some() {
            problems.push(Problem {
                path: "extends".into(),
                message: ": works only in a file, which it lies beside".into(),
            });
        }
        Error::if_any(problems)?;
        let config: Self = serde_path_to_error::deserialize(config).map_err(|e| {
            let path = e.path().to_string();
            Error::Config(vec![Problem { path, message: format!(": {}", e.into_inner()) }])
        })?;
        let config = config.marked_auto(auto);
        Error::if_any(config.problems())?;
        Ok(config)
    }

    /// The JSON schema, for editors. It asks less of a file that extends another.
    pub fn schema() -> Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        auto_gamma::allow(&mut schema);
        editor_schema::of(schema)
    }
}

/// The file laid over the files it extends. All of them are added to `layers`, the file itself first.
fn merged(file: &Path, above: &mut Vec<PathBuf>, layers: &mut Vec<Layer>) -> Result<Value> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    let own = json::parse(&bytes).map_err(|message| Error::format(file, message))?;
    layers.push(Layer { file: file.to_path_buf(), own: own.clone() });
    let Some(base) = own.get("extends") else { return Ok(own) };
    let Some(base) = base.as_str() else {
        return Err(Error::format(file, "extends: must be the name of a file"));
    };
    above.push(file.to_path_buf());
    let base = file.parent().unwrap_or(Path::new("")).join(base);
    if above.len() > DEEPEST || above.contains(&base) {
        return Err(Error::format(file, format!("extends {}, which leads back to it or too deep", base.display())));
    }
    let mut whole = merged(&base, above, layers)?;
    if !whole.is_object() {
        return Err(Error::format(base, "must hold an object: another file extends it"));
    }
    json_patch::merge(&mut whole, &own);
    if let Some(keys) = whole.as_object_mut() {
        keys.remove("extends");
    }
    Ok(whole)
}

/// Lays `path=value` over a configuration.
fn set(config: &mut Value, setting: &str) -> std::result::Result<(), String> {
    let wrong = |why: &str| why.to_string();
    let (path, value) = setting.split_once('=').ok_or_else(|| wrong("must be KEY=VALUE, as post_train.steps=100"))?;
    let value = match json::parse(value.as_bytes()) {
        Ok(value) => value,
        // A word needs no quotes, but what begins as an object or a list is meant as one.
        Err(why) if value.trim_start().starts_with(['{', '[', '"']) => return Err(format!("the value {why}")),
        Err(_) => Value::from(value),
    };
    let mut place = config;
    let last = path.split('.').count() - 1;
    if last >= DEEPEST_KEY {
        return Err(format!("a key has at most {DEEPEST_KEY} parts"));
    }
    for (number, key) in path.split('.').enumerate() {
        let (key, indices) = key.split_once('[').map_or((key, ""), |(key, rest)| (key, rest));
        if key.is_empty() {
            return Err(wrong("has a key without a name"));
        }
        if place.is_null() {
            *place = Value::Object(Default::default());
        }
        let object =
            place.as_object_mut().ok_or_else(|| wrong(&format!("`{key}` lies in something that is no object")))?;
        // As in a file that extends another, null takes a key away. One that is not there is judged as any other.
        if number == last && indices.is_empty() && value.is_null() && object.remove(key).is_some() {
            return Ok(());
        }
        place = object.entry(key).or_insert(Value::Null);
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let index = index.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
            let index = index.ok_or_else(|| wrong("an entry of a list is named like seeds[0]"))?;
            let there = place.as_array().map_or(0, Vec::len);
            place = place
                .as_array_mut()
                .and_then(|list| list.get_mut(index))
                .ok_or_else(|| wrong(&format!("`{key}` has {there} entries, none is [{index}]")))?;
        }
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(files: &[(&str, Value)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in files {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        }
        folder
    }

    #[test]
    fn a_file_lies_over_those_it_extends() {
        let folder = written(&[
            ("base.json", json!({"a": {"b": 1, "c": 2}, "list": [1, 2], "d": 1})),
            ("middle.json", json!({"extends": "base.json", "a": {"b": 5}, "list": [3]})),
            ("top.json", json!({"extends": "middle.json", "a": {"c": null}, "e": 1})),
        ]);
        let whole = merged(&folder.path().join("top.json"), &mut Vec::new(), &mut Vec::new()).unwrap();
        assert_eq!(whole, json!({"a": {"b": 5}, "list": [3], "d": 1, "e": 1}));
    }

    #[test]
    fn circles_and_absent_files_are_named() {
        let folder = written(&[("a.json", json!({"extends": "b.json"})), ("b.json", json!({"extends": "a.json"}))]);
        let error = merged(&folder.path().join("a.json"), &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("b.json: extends") && error.contains("a.json"), "{error}");
        let folder = written(&[("a.json", json!({"extends": "none.json"}))]);
        let error = merged(&folder.path().join("a.json"), &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("none.json"), "{error}");
    }

    #[test]
    fn settings_lie_over_the_file() {
        let mut config = json!({"post_train": {"steps": 5}, "compare": {"seeds": [1, 2]}});
        for setting in ["post_train.steps=100", "post_train.strategy.kind=beta", "compare.seeds[1]=7", "x={\"y\": [1]}"]
        {
            set(&mut config, setting).unwrap();
        }
        let expected = json!({
            "post_train": {"steps": 100, "strategy": {"kind": "beta"}}, "compare": {"seeds": [1, 7]}, "x": {"y": [1]}
        });
        assert_eq!(config, expected);
        for setting in ["post_train.strategy.kind=null", "x=null", "compare.seeds[0]=null", "post_train.stpes=null"] {
            set(&mut config, setting).unwrap();
        }
        let expected = json!({
            "post_train": {"steps": 100, "strategy": {}, "stpes": null}, "compare": {"seeds": [null, 7]}
        });
        assert_eq!(config, expected);
        for (setting, why) in [
            ("post_train.steps", "must be KEY=VALUE"),
            ("post_train.steps.more=1", "no object"),
            ("compare.seeds[2]=1", "none is [2]"),
            ("compare.seeds[x]=1", "named like seeds[0]"),
            (".=1", "without a name"),
            ("x={\"a\": 1, \"a\": 2}", "the value is not JSON: the key \"a\" stands twice"),
            ("x=[1, 2", "the value is not JSON: EOF"),
            ("post_train.steps[18446744073709551616]=1", "named like seeds[0]"),
        ] {
            let error = set(&mut config, setting).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
