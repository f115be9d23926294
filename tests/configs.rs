//! The shipped configurations are usable, and the shipped schema is the one of the code.
mod shipped;

use burn_mixflow::Error;
use burn_mixflow::experiment::Footprint;
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::encode::EncodeConfig;
use burn_mixflow::recompute::Checkpointing;
use burn_mixflow::train::Precision;
use serde_json::{Value, json};
use shipped::shipped;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

fn json_of(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The file laid over those that it extends, with what they are called.
fn merged(file: &Path) -> Value {
    let own = json_of(file);
    let Some(base) = own["extends"].as_str() else { return own };
    let mut whole = merged(&file.parent().unwrap().join(base));
    json_patch::merge(&mut whole, &own);
    whole.as_object_mut().unwrap().remove("extends");
    whole
}

/// Every place in `value` that `schema` does not allow: unknown or missing keys and tags, and wrong types.
fn misfits(schema: &Value, root: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(condition) = schema.get("if") {
        let holds = misfits(condition, root, value, path).is_empty();
        return misfits(&schema[if holds { "then" } else { "else" }], root, value, path);
    }
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
    if let Some(object) = value.as_object() {
        if let Some(known) = schema["properties"].as_object() {
            for (key, inner) in object {
                match (known.get(key), &schema["additionalProperties"]) {
                    (Some(schema), _) => found.extend(misfits(schema, root, inner, &format!("{path}.{key}"))),
                    (None, others @ Value::Object(_)) if misfits(others, root, inner, "").is_empty() => {}
                    _ => found.push(format!("{path}.{key} is unknown")),
                }
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
    let mut extended = 0;
    for file in files {
        extended += usize::from(json_of(&file).get("extends").is_some());
        let config = ExperimentConfig::read(&file).unwrap_or_else(|error| panic!("{error}"));
        // What a folder keeps of it is read back as the same.
        let kept = config.to_json().unwrap();
        assert_eq!(ExperimentConfig::parse(&kept.to_string()).unwrap(), config, "{}", file.display());
    }
    assert!(extended >= 5, "only {extended} files extend another");
}

/// The files of `configs/encode`, and what their schema is.
#[test]
fn every_shipped_encoding_is_usable_and_fits_its_schema() {
    let schema = EncodeConfig::schema();
    let file = folder().join("encode/schema.json");
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("MIXFLOW_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let write = "cargo run --release -- schema encode > configs/encode/schema.json";
    assert!(std::fs::read_to_string(&file).unwrap_or_default() == text, "{} is old: {write}", file.display());
    let mut seen = 0;
    for entry in std::fs::read_dir(folder().join("encode")).unwrap() {
        let file = entry.unwrap().path();
        if file.ends_with("schema.json") {
            continue;
        }
        let config = EncodeConfig::read(&file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(misfits(&schema, &schema, &json_of(&file), ""), Vec::<String>::new(), "{}", file.display());
        let kept = serde_json::to_value(&config).unwrap();
        assert_eq!(misfits(&schema, &schema, &kept, ""), Vec::<String>::new(), "{}, as it is kept", file.display());
        seen += 1;
    }
    assert!(seen >= 6, "{seen} encodings");
}

/// What an encoding writes is what the experiments on it read.
#[test]
fn every_paper_file_reads_what_an_encoding_writes() {
    let mut written = BTreeSet::new();
    for entry in std::fs::read_dir(folder().join("encode")).unwrap() {
        let file = entry.unwrap().path();
        if file.ends_with("schema.json") {
            continue;
        }
        let config = EncodeConfig::read(&file).unwrap();
        let mut part = |is_there: bool, name: &str| {
            written.extend(is_there.then(|| config.to.join(name)));
        };
        part(config.autoencoder.is_some(), "vae-sd");
        part(config.rae.is_some(), "latents");
        part(config.features.is_some(), "features");
        part(config.text.is_some(), "text");
    }
    let mut seen = 0;
    for file in shipped(&folder()) {
        if !file.file_name().unwrap().to_string_lossy().starts_with("paper-") {
            continue;
        }
        let data = merged(&file)["data"].clone();
        let named = [&data["folder"], &data["text"], &data["features"][0]];
        for path in named.into_iter().filter_map(Value::as_str) {
            assert!(written.contains(Path::new(path)), "{}: nothing writes {path}", file.display());
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn every_shipped_configuration_names_the_schema_for_editors() {
    let schema = folder().join("schema.json").canonicalize().unwrap();
    for file in shipped(&folder()) {
        let pointer = json_of(&file)["$schema"].as_str().map(str::to_owned);
        let pointer = pointer.unwrap_or_else(|| panic!("{}: has no $schema", file.display()));
        assert_eq!(file.parent().unwrap().join(pointer).canonicalize().unwrap(), schema, "{}", file.display());
    }
}

#[test]
fn every_shipped_configuration_has_one_indentation() {
    for file in shipped(&folder()) {
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let spaces = line.len() - line.trim_start().len();
            assert!(spaces % 2 == 0 && !line.contains('\t'), "{}:{}: {line}", file.display(), number + 1);
            assert!(spaces <= 2 || number > 1, "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

#[test]
fn no_shipped_configuration_repeats_what_it_extends() {
    for file in shipped(&folder()) {
        let mut own = json_of(&file);
        let Some(base) = own["extends"].as_str().map(|base| merged(&file.parent().unwrap().join(base))) else {
            continue;
        };
        own.as_object_mut().unwrap().retain(|key, _| key != "$schema");
        let repeated = repeated(&own, &base, "");
        assert!(repeated.is_empty(), "{}: {repeated:?} already hold", file.display());
    }
}

/// The keys that say in `own` what `base` says already, and those that remove what is not there.
fn repeated(own: &Value, base: &Value, path: &str) -> Vec<String> {
    match (own, base) {
        (Value::Object(own), Value::Object(base)) => {
            let under = |(key, value)| repeated(value, base.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"));
            own.iter().flat_map(under).collect()
        }
        (own, base) if own == base => vec![path.to_string()],
        _ => Vec::new(),
    }
}

#[test]
fn the_shipped_schema_is_that_of_the_code() {
    let file = folder().join("schema.json");
    let text = serde_json::to_string_pretty(&ExperimentConfig::schema()).unwrap() + "\n";
    if std::env::var_os("MIXFLOW_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let shipped = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        shipped == text,
        "configs/schema.json is not that of the code; write it with `cargo run --release -- schema > configs/schema.json`"
    );
}

#[test]
fn every_key_of_every_configuration_is_in_the_schema() {
    let schema = ExperimentConfig::schema();
    for file in shipped(&folder()) {
        assert_eq!(misfits(&schema, &schema, &merged(&file), ""), Vec::<String>::new(), "{}", file.display());
        let kept = ExperimentConfig::read(&file).unwrap().to_json().unwrap();
        assert_eq!(misfits(&schema, &schema, &kept, ""), Vec::<String>::new(), "{}, as it is kept", file.display());
    }
}

/// What an editor shows of the files themselves.
#[test]
fn every_file_as_it_is_written_fits_the_schema() {
    let (schema, mut extending) = (ExperimentConfig::schema(), 0);
    for file in shipped(&folder()) {
        let own = json_of(&file);
        assert_eq!(misfits(&schema, &schema, &own, ""), Vec::<String>::new(), "{}", file.display());
        extending += usize::from(own.get("extends").is_some());
    }
    assert!(extending >= 5);
    for (wrong, at) in [
        (json!({"extends": "a.json", "compere": {}}), ".compere"),
        (json!({"extends": "a.json", "post_train": {"stpes": 3}}), ".post_train.stpes"),
        (json!({"extends": "a.json", "start": {"steps": "many"}}), ".start.steps"),
        (json!({"data": {"kind": "photos"}}), ".network"),
    ] {
        let found = misfits(&schema, &schema, &wrong, "");
        assert!(found.iter().any(|misfit| misfit.contains(at)), "{wrong}: {found:?}");
    }
    let removed = json!({"extends": "a.json", "data": {"size": 8, "limit": null}, "start": {"file": null}});
    assert_eq!(misfits(&schema, &schema, &removed, ""), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let schema = ExperimentConfig::schema();
    let text = merged(&folder().join("photos/tiny.json")).to_string();
    for (from, to) in [
        ("\"gamma\"", "\"gama\""),
        ("\"decay\":\"cosine\"", "\"decay\":\"cosin\""),
        ("\"mixflow\"", "\"mixfow\""),
        ("\"steps\":40", "\"steps\":\"many\""),
        ("\"width\"", "\"wdth\""),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text);
        assert!(ExperimentConfig::parse(&broken).is_err(), "the parser accepts {to}");
        let value: Value = serde_json::from_str(&broken).unwrap();
        assert!(!misfits(&schema, &schema, &value, "").is_empty(), "the schema accepts {to}");
    }
}

/// A file of each of the five dialects there were, and how its keys must be said to be called.
#[test]
fn a_file_of_an_old_dialect_is_told_the_new_names() {
    let (data, network) = (json!({"kind": "photos"}), json!({"kind": "residual_mlp"}));
    let run = json!({
        "data": data, "network": network, "device": "cpu", "path": "gvp", "prediction": "noise", "loss_weight": "velocity",
        "pretrain": {"steps": 40}, "post_train": {"steps": 20}, "seeds": [0, 1],
        "evaluate": {"steps": [2, 4], "samples": 64, "batch_size": 64, "solver": "heun", "feature_seed": 1},
        "gamma_search": {"steps": [2], "gammas": [0.1]}
    });
    let table = json!({
        "data": data, "network": network, "device": "cpu", "pretrain": {}, "post_train": {}, "control": "control",
        "arms": [{"name": "no post-training", "weights": "pretrained"}], "samplers": [{"name": "Euler"}],
        "evaluations": [5], "seeds": [0], "samples": 100, "batch_size": 50, "feature_seed": 0, "workers": 1
    });
    let official = json!({
        "devices": ["cpu"], "data": {"folder": "latents", "shape": [4, 8, 8], "classes": 10}, "network": {"kind": "sit"},
        "weights": {"file": "model.pt"}, "post_train": {}, "sample": {"sampler": {"steps": 5, "batch_size": 4}}
    });
    let slow_flow = json!({"run": run, "probe": {"samples": 100}});
    let choice =
        json!({"data": data, "network": network, "reference": "set_aside", "evaluate": {"guidance": {"scale": 2}}});
    let told = |file: &Value| ExperimentConfig::parse(&file.to_string()).unwrap_err().to_string();
    for (file, expected) in [
        (
            &run,
            &[
                "device is called `devices` now",
                "path is `flow.path` now",
                "prediction is `flow.prediction` now",
                "loss_weight is `flow.loss_weight` now",
                "pretrain is `start` now, with \"kind\": \"pretrain\"",
                "seeds is `compare.seeds` now",
                "evaluate.steps is `compare.evaluations` now",
                "evaluate.samples is `compare.samples` now",
                "evaluate.batch_size is `compare.batch_size` now",
                "evaluate.solver is `sample.sampler.solver` now",
                "evaluate.feature_seed is `compare.feature_seed` now",
                "gamma_search.steps is `gamma_search.evaluations` now",
            ][..],
        ),
        (
            &table,
            &[
                "device is called `devices` now",
                "pretrain is `start` now",
                "arms is `compare.arms` now",
                "arms[0].weights = \"pretrained\": is called \"start\" now",
                "control is `compare.control` now",
                "samplers is `compare.samplers` now",
                "evaluations is `compare.evaluations` now",
                "seeds is `compare.seeds` now",
                "samples is `compare.samples` now",
                "batch_size is `compare.batch_size` now",
                "feature_seed is `compare.feature_seed` now",
                "workers is `compare.workers` now",
            ][..],
        ),
        (&official, &["weights is `start` now, with \"kind\": \"weights\"", "data needs \"kind\": \"latents\""][..]),
        (&slow_flow, &["run is gone: what stood in `run` stands at the top now", "probe is `slow_flow` now"][..]),
        (&choice, &["reference is `compare.reference` now", "evaluate.guidance is `sample.sampler.guidance` now"][..]),
    ] {
        let told = told(file);
        for expected in expected {
            assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
        }
    }
    // Arms that were moved to their new place with the old word.
    let moved =
        json!({"data": data, "network": network, "compare": {"arms": table["arms"], "control": "no post-training"}});
    let told = told(&moved);
    assert!(told.contains("compare.arms[0].weights = \"pretrained\": is called \"start\" now"), "{told}");
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
    names(&ExperimentConfig::schema(), &mut found);
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
    ExperimentConfig::parse(json).unwrap();
}

/// Every block of text in the reference that is an error, with the keys in the line above it that bring it about.
#[test]
fn the_documented_error_messages_are_real() {
    let docs = reference();
    let start = r#"{"data": {"kind": "photos"}, "network": {"kind": "residual_mlp", "channels": 1, "size": 16}"#;
    let mut shown = 0;
    for (before, after) in docs.match_indices("```text\nthe configuration has").map(|(at, _)| docs.split_at(at)) {
        let message = after.trim_start_matches("```text\n").split("\n```").next().unwrap();
        let keys = before.trim_end().lines().last().unwrap().trim_matches('`');
        let error = ExperimentConfig::parse(&format!("{start}, {keys}}}")).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{keys}: {error}");
        assert_eq!(error.to_string(), message, "{keys}");
        shown += 1;
    }
    assert!(shown >= 5, "docs/configuration.md shows only {shown} errors");
}

/// The table of docs/systems.md: what each full-size configuration holds on its first device.
fn memory_table() -> String {
    let mut text = String::from(
        "| file | devices | weights and copies | average | moments | gradients | activations | in all, a pass of | \
         largest batch on a card of 24 GB | of 80 GB | of 80 GB with `\"checkpointing\": \"blocks\"` |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let full = ["sit/b-256", "sit/xl-256", "sit/xl-256-8gpu", "repa/xl-256", "rae/xl-256", "rae/xl-256-8gpu"];
    let full = full.into_iter().chain(["sd35/medium", "sd35/medium-8gpu", "sd35/large-8gpu", "sd35/large-lora"]);
    for name in full {
        let mut config = ExperimentConfig::read(folder().join(format!("{name}.json"))).unwrap();
        let shape = config.data.declared().shape.unwrap();
        let held = Footprint::of(&config, shape);
        config.post_train.checkpointing = Checkpointing::Blocks;
        let blocks = Footprint::of(&config, shape);
        let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let batch = |of: &Footprint, card: u64| {
            of.largest_batch(card * 1_000_000_000).map_or("none".to_string(), |batch| batch.to_string())
        };
        text += &format!(
            "| `{name}.json` | {} | {} | {} | {} | {} | {} | {}, {} | {} | {} | {} |\n",
            config.devices.len(),
            gb(held.weights + held.copies),
            gb(held.average),
            gb(held.moments),
            gb(held.gradients),
            gb(held.activations()),
            gb(held.peak()),
            held.samples,
            batch(&held, 24),
            batch(&held, 80),
            batch(&blocks, 80),
        );
    }
    text
}

#[test]
fn the_documented_memory_of_full_size_networks_is_that_of_their_configurations() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems.md")).unwrap();
    let table = memory_table();
    assert!(docs.contains(&table), "between the marks of docs/systems.md must stand\n\n{table}");
}

/// The emoji on a GPU: the experiment of the small SiT with another network, which a card of 24 GB holds.
#[test]
fn the_larger_network_of_the_emoji_has_ten_to_thirty_million_parameters() {
    let read = |name: &str| ExperimentConfig::read(folder().join(name)).unwrap();
    let (large, small) = (read("emoji/sit.json"), read("emoji/mixflow.json"));
    assert_eq!((&large.data, large.post_train.strategy), (&small.data, small.post_train.strategy));
    assert_eq!(json_of(&folder().join("emoji/sit.json"))["devices"], json!(["cuda:0"]));
    let held = Footprint::of(&large, large.data.declared().shape.unwrap());
    let parameters = held.gradients / 4;
    assert!((10_000_000..30_000_000).contains(&parameters), "{parameters}");
    let most = held.largest_batch(24_000_000_000);
    assert!(most.is_some_and(|batch| batch >= large.post_train.batch_size), "{most:?}: {held}");
}

/// The table of docs/scaling.md: what travels in a pass on eight devices.
fn traffic_table() -> String {
    let (devices, link) = (8.0, 25e9);
    let mut text = String::from(
        "| file | parameters | without: the first sends | receives | seconds | with: each sends and receives | seconds |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for name in ["sit/xl-256-8gpu", "repa/xl-256-8gpu", "rae/xl-256-8gpu", "sd35/medium-8gpu", "sd35/large-8gpu"] {
        let config = ExperimentConfig::read(folder().join(format!("{name}.json"))).unwrap();
        let parameters = config.network.parameter_count().all as f64;
        let size = if config.post_train.precision == Precision::Bf16 { 2.0 } else { 4.0 };
        // Weights and average in f32 to each of the others, and a gradient from each.
        let (sent, received) = ((devices - 1.0) * 8.0 * parameters, (devices - 1.0) * 4.0 * parameters);
        // Its part of the weights to each of the others, and their parts to it; the same of gradients.
        let shared = 2.0 * (1.0 - 1.0 / devices) * size * parameters;
        let gb = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
        text += &format!(
            "| `{name}.json` | {:.2} G | {} | {} | {:.1} | {} | {:.2} |\n",
            parameters / 1e9,
            gb(sent),
            gb(received),
            sent.max(received) / link,
            gb(shared),
            shared / link,
        );
    }
    text
}

#[test]
fn the_documented_traffic_is_that_of_the_configurations() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md")).unwrap();
    let table = traffic_table();
    assert!(docs.contains(&table), "between the marks of docs/scaling.md must stand\n\n{table}");
}
