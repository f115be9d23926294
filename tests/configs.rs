//! The shipped configurations are usable, and the shipped schema is the one of the code.
use burn_mixflow::Error;
use burn_mixflow::experiment::config::{AblationConfig, RunConfig, SystemConfig};
use burn_mixflow::experiment::slow_flow::SlowFlowConfig;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

/// The kinds of configurations: the name of the schema, the schema, and the problems of a text.
struct Kind {
    schema: &'static str,
    generate: fn() -> Value,
    problems: fn(&str) -> Result<(), Error>,
}

const KINDS: [Kind; 4] = [
    Kind { schema: "schema.json", generate: RunConfig::schema, problems: |text| RunConfig::parse(text).map(drop) },
    Kind {
        schema: "slow_flow-schema.json",
        generate: SlowFlowConfig::schema,
        problems: |text| SlowFlowConfig::parse(text).map(drop),
    },
    Kind {
        schema: "system-schema.json",
        generate: SystemConfig::schema,
        problems: |text| SystemConfig::parse(text).map(drop),
    },
    Kind {
        schema: "ablation-schema.json",
        generate: AblationConfig::schema,
        problems: |text| AblationConfig::parse(text).map(drop),
    },
];

/// Every `.json` below `folder`, sorted, without the schemas.
fn shipped(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_string();
        if path.is_dir() {
            found.extend(shipped(&path));
        } else if name.ends_with(".json") && !name.ends_with("schema.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The kind of a configuration, by the schema it points at.
fn kind(file: &Path) -> (&'static Kind, String) {
    let text = std::fs::read_to_string(file).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let pointer = value["$schema"].as_str().unwrap();
    let pointed = file.parent().unwrap().join(pointer).canonicalize().unwrap();
    let kind = KINDS.iter().find(|kind| pointed == folder().join(kind.schema).canonicalize().unwrap());
    (kind.unwrap_or_else(|| panic!("{}: {pointer}", file.display())), text)
}

/// Every place in `value` that `schema` does not allow: unknown or missing keys and tags, and wrong types.
fn misfits(schema: &Value, root: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        let found = misfits(&root["$defs"][name], root, value, path);
        if !found.is_empty() {
            return found;
        }
    }
    for choices in ["oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()) {
        let tried: Vec<_> = choices.iter().map(|choice| misfits(choice, root, value, path)).collect();
        if !tried.iter().any(Vec::is_empty) {
            return tried.concat();
        }
    }
    if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
        return vec![format!("{path} is {value}, not {expected}")];
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        return vec![format!("{path} is {value}, not one of {allowed:?}")];
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    if !types.is_empty() && !types.iter().any(is) {
        return vec![format!("{path} is {value}, not {types:?}")];
    }
    let mut found = Vec::new();
    if let (Some(object), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (key, inner) in object {
            match known.get(key) {
                Some(schema) => found.extend(misfits(schema, root, inner, &format!("{path}.{key}"))),
                None => found.push(format!("{path}.{key} is unknown")),
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                found.push(format!("{path}.{key} is missing"));
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        found.extend(items.iter().enumerate().flat_map(|(i, v)| misfits(schema, root, v, &format!("{path}[{i}]"))));
    }
    found
}

#[test]
fn every_shipped_configuration_is_usable() {
    let files = shipped(&folder());
    assert!(files.len() >= 15, "{files:?}");
    for file in files {
        let (kind, text) = kind(&file);
        (kind.problems)(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn the_shipped_schemas_are_those_of_the_code() {
    for kind in KINDS {
        let file = folder().join(kind.schema);
        let text = serde_json::to_string_pretty(&(kind.generate)()).unwrap() + "\n";
        if std::env::var_os("MIXFLOW_WRITE_SCHEMA").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let shipped = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            shipped == text,
            "configs/{} is not that of the code; write it with `MIXFLOW_WRITE_SCHEMA=1 cargo test --release --test configs`",
            kind.schema
        );
    }
}

#[test]
fn every_key_of_every_configuration_is_in_its_schema() {
    for file in shipped(&folder()) {
        let (kind, text) = kind(&file);
        let (schema, value) = ((kind.generate)(), serde_json::from_str(&text).unwrap());
        assert_eq!(misfits(&schema, &schema, &value, ""), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let schema = RunConfig::schema();
    let text = std::fs::read_to_string(folder().join("photos/tiny.json")).unwrap();
    for (from, to) in [
        ("\"gamma\"", "\"gama\""),
        ("\"decay\": \"cosine\"", "\"decay\": \"cosin\""),
        ("\"mixflow\"", "\"mixfow\""),
        ("\"steps\": 40", "\"steps\": \"many\""),
        ("\"width\"", "\"wdth\""),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text);
        assert!(RunConfig::parse(&broken).is_err(), "the parser accepts {to}");
        let value: Value = serde_json::from_str(&broken).unwrap();
        assert!(!misfits(&schema, &schema, &value, "").is_empty(), "the schema accepts {to}");
    }
}

fn reference() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap()
}

/// The names of all properties and all constants (names in the JSON) anywhere in `schema`.
fn names(schema: &Value, found: &mut BTreeSet<String>) {
    if let Value::Object(object) = schema {
        found.extend(object.get("properties").and_then(Value::as_object).into_iter().flat_map(|p| p.keys().cloned()));
        found.extend(object.get("const").and_then(Value::as_str).map(str::to_owned));
        found.extend(
            object
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned)),
        );
        object.values().for_each(|inner| names(inner, found));
    } else if let Value::Array(list) = schema {
        list.iter().for_each(|inner| names(inner, found));
    }
}

#[test]
fn the_reference_names_every_key_and_every_choice() {
    let (docs, mut found) = (reference(), BTreeSet::new());
    KINDS.iter().for_each(|kind| names(&(kind.generate)(), &mut found));
    assert!(found.len() > 80 && found.contains("warm_up") && found.contains("cosine"), "{found:?}");
    let shown = |name: &&String| {
        ["`{}`", "`\"{}\"`", "\"{}\":", ".{}`", "\"kind\": \"{}\""]
            .map(|form| form.replace("{}", name))
            .iter()
            .any(|form| docs.contains(form.as_str()))
    };
    let absent: Vec<_> = found.iter().filter(|name| !shown(name)).collect();
    assert!(absent.is_empty(), "docs/configuration.md does not name {absent:?}");
}

#[test]
fn the_smallest_useful_file_of_the_reference_is_usable() {
    let docs = reference();
    let (json, _) = docs.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```")).unwrap();
    RunConfig::parse(json).unwrap();
}

/// The messages that docs/configuration.md shows.
#[test]
fn the_documented_error_messages_are_real() {
    let docs = reference();
    let start = r#"{"data": {"kind": "photos"}, "network": {"kind": "residual_mlp", "channels": 1, "size": 16}"#;
    for extra in [
        r#", "post_train": {"stpes": 3}"#,
        r#", "post_train": {"strategy": {"kind": "mixflow", "gama": 0.1}}"#,
        r#", "post_train": {"steps": "many"}"#,
        r#", "device": "tpu", "post_train": {"strategy": {"kind": "mixflow", "gamma": 1.1}, "steps": 10, "steps_per_epoch": 3, "condition_dropout": 0.1}"#,
        r#", "post_train": {"strategy": {"kind": "mixflow"}, "target": "training", "schedule": {"final_fraction": 0.05}}"#,
    ] {
        let error = RunConfig::parse(&format!("{start}{extra}}}")).unwrap_err();
        assert!(matches!(error, Error::Config(_)));
        assert!(docs.contains(&error.to_string()), "docs/configuration.md does not show:\n{error}");
    }
}
