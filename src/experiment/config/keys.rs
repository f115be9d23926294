//! Every unknown, missing or mistyped key of a configuration at once, by its schema.
//!
//! Serde stops at the first of them, and inside a tagged object it forgets where it was.
use super::ExperimentConfig;
use crate::Problem;
use serde_json::Value;

/// What in `config`, a whole configuration, the schema does not allow, each with its path.
pub(super) fn problems(config: &Value) -> Vec<Problem> {
    let schema = schemars::schema_for!(ExperimentConfig).to_value();
    Checker { root: &schema }.misfits(&schema, config, "")
}

/// Words that others use, and what they are called here: a key beside them, or a path from the top.
const MEANT: [(&str, &str); 7] = [
    ("gamma", "post_train.strategy.gamma"),
    ("lr", "learning_rate"),
    ("epochs", "steps"),
    ("iterations", "steps"),
    ("num_steps", "steps"),
    ("weight_decay", "post_train.optimizer.weight_decay"),
    ("seed", "compare.seeds"),
];

struct Checker<'a> {
    root: &'a Value,
}

impl<'a> Checker<'a> {
    fn misfits(&self, schema: &'a Value, value: &Value, path: &str) -> Vec<Problem> {
        let schema = self.resolved(schema);
        for choices in ["oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()) {
            let found = self.of_choices(choices, value, path);
            if !found.is_empty() {
                return found;
            }
        }
        if let Some(problem) = self.mistyped(schema, value, path) {
            return vec![problem];
        }
        let mut found = self.of_object(schema, value, path);
        if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
            let under = |(i, item): (usize, &Value)| self.misfits(schema, item, &format!("{path}[{i}]"));
            found.extend(items.iter().enumerate().flat_map(under));
        }
        found
    }

    /// The misfits of the choice that is meant: that of the same `kind`, or else the one that fits best.
    fn of_choices(&self, choices: &'a [Value], value: &Value, path: &str) -> Vec<Problem> {
        let kind = |choice: &'a Value| self.resolved(choice)["properties"]["kind"]["const"].as_str();
        let kinds: Vec<&str> = choices.iter().filter_map(kind).collect();
        if kinds.is_empty() {
            // An object is meant as the choice that knows one of its keys.
            let keys = value.as_object().into_iter().flatten().map(|(key, _)| key);
            let meant = keys.flat_map(|key| {
                choices.iter().filter(move |choice| self.resolved(choice)["properties"].get(key).is_some())
            });
            let known = meant.map(|choice| self.misfits(choice, value, path)).min_by_key(Vec::len);
            if let Some(found) = known {
                return found;
            }
            let tried = choices.iter().map(|choice| self.misfits(choice, value, path));
            let best = tried.min_by_key(Vec::len).unwrap_or_default();
            let simple = best.len() == 1 && best[0].path == path;
            return if simple { vec![self.none_of(choices, value, path)] } else { best };
        }
        let Some(object) = value.as_object() else {
            let wanted = value.as_str().and_then(|name| nearest(name, &kinds)).unwrap_or(kinds[0]);
            let message = format!("= {}: must be an object such as {{\"kind\": \"{wanted}\"}}", short(value));
            return vec![problem(path, message)];
        };
        let listed = kinds.join("\", \"");
        match object.get("kind") {
            None => {
                let near = object.keys().find(|key| nearest(key, &["kind"]).is_some());
                let near = near.map_or(String::new(), |key| format!(", but `{}` is there", join(path, key)));
                vec![problem(&join(path, "kind"), format!("is missing{near}: must be one of \"{listed}\""))]
            }
            Some(given) => match choices.iter().find(|choice| kind(choice) == given.as_str()) {
                Some(choice) => {
                    let mut found = self.misfits(choice, value, path);
                    let own = &self.resolved(choice)["properties"];
                    for key in object.keys().filter(|key| own.get(*key).is_none()) {
                        let of = choices.iter().find(|other| self.resolved(other)["properties"].get(key).is_some());
                        let (at, of) = (join(path, key), of.and_then(kind));
                        for problem in found.iter_mut().filter(|problem| of.is_some() && problem.path == at) {
                            problem.message = format!(
                                "is a key of kind \"{}\", not of {given}; if it comes from a file that is extended, set it to null",
                                of.unwrap_or_default()
                            );
                        }
                    }
                    found
                }
                None => {
                    let hint = given.as_str().and_then(|name| nearest(name, &kinds));
                    let hint = hint.map_or(String::new(), |name| format!("; did you mean \"{name}\"?"));
                    vec![problem(&join(path, "kind"), format!("= {}: must be one of \"{listed}\"{hint}", short(given)))]
                }
            },
        }
    }

    fn none_of(&self, choices: &'a [Value], value: &Value, path: &str) -> Problem {
        let mut names: Vec<String> = Vec::new();
        for choice in choices.iter().map(|choice| self.resolved(choice)) {
            let constants = choice.get("const").into_iter().chain(choice["enum"].as_array().into_iter().flatten());
            names.extend(constants.map(Value::to_string));
            let required = choice["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            names.extend(required.map(|key| format!("{{\"{key}\": …}}")));
            let plain =
                choice.get("const").is_none() && choice.get("enum").is_none() && choice.get("required").is_none();
            names.extend(types(choice).into_iter().filter(|_| plain).map(|name| name.to_string()));
        }
        let texts: Vec<&str> = names.iter().map(|name| name.trim_matches('"')).collect();
        let hint = value.as_str().and_then(|name| nearest(name, &texts));
        let hint = hint.map_or(String::new(), |name| format!("; did you mean \"{name}\"?"));
        problem(path, format!("= {}: must be {}{hint}", short(value), names.join(" or ")))
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| self.resolved(&self.root["$defs"][name]))
    }

    fn mistyped(&self, schema: &Value, value: &Value, path: &str) -> Option<Problem> {
        if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
            return Some(problem(path, format!("= {}: must be {expected}", short(value))));
        }
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            let names: Vec<String> = allowed.iter().map(Value::to_string).collect();
            return Some(problem(path, format!("= {}: must be {}", short(value), names.join(" or "))));
        }
        let types = types(schema);
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
            let names: Vec<&str> = types.iter().map(|name| with_article(name)).collect();
            let plain = value.as_f64().is_some_and(|number| number.fract() == 0.0) && types.contains(&"integer");
            let plain = if plain { ", written in digits alone, at most 18446744073709551615" } else { "" };
            return Some(problem(path, format!("= {}: must be {}{plain}", short(value), names.join(" or "))));
        }
        if let Some(length) = value.as_array().map(|list| list.len() as u64) {
            let [least, most] = ["minItems", "maxItems"].map(|key| schema[key].as_u64());
            if least.is_some_and(|least| length < least) || most.is_some_and(|most| length > most) {
                let wanted = match (least, most) {
                    (Some(least), Some(most)) if least == most => format!("exactly {least}"),
                    (Some(least), Some(most)) => format!("{least} to {most}"),
                    (Some(least), None) => format!("at least {least}"),
                    (_, most) => format!("at most {}", most.unwrap_or_default()),
                };
                return Some(problem(path, format!("= {}: must have {wanted} entries", short(value))));
            }
        }
        let whole = types.contains(&"integer") && schema["minimum"].as_f64() == Some(0.0);
        let negative = value.as_f64().is_some_and(|number| number < 0.0);
        (whole && negative).then(|| problem(path, format!("= {}: must not be negative", short(value))))
    }

    fn of_object(&self, schema: &'a Value, value: &Value, path: &str) -> Vec<Problem> {
        let (Some(object), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        for (key, inner) in object {
            match known.get(key) {
                Some(schema) => found.extend(self.misfits(schema, inner, &join(path, key))),
                None => {
                    let meant = MEANT.iter().find(|(word, place)| word == key && !path.starts_with(place));
                    let meant =
                        meant.map(|(_, place)| *place).filter(|place| place.contains('.') || names.contains(place));
                    let hint = meant.or_else(|| nearest(key, &names)).map_or_else(
                        || format!("known here: {}", names.join(", ")),
                        |name| format!("did you mean `{name}`?"),
                    );
                    found.push(problem(&join(path, key), format!("is no key; {hint}")));
                }
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = required.filter(|key| !object.contains_key(*key));
        found.extend(missing.map(|key| problem(&join(path, key), "is missing".into())));
        found
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn with_article(name: &str) -> &str {
    match name {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

fn problem(path: &str, message: String) -> Problem {
    let path = if path.is_empty() { "the configuration" } else { path };
    Problem { path: path.into(), message }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// A value in at most one line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { format!("{}…", text.chars().take(57).collect::<String>()) }
}

/// The name most like `name`, if it is much alike.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let (best, alike) = names
        .iter()
        .map(|known| (*known, strsim::jaro_winkler(&name.to_lowercase(), known)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (alike >= 0.8).then_some(best)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    fn problems(config: serde_json::Value) -> Vec<String> {
        super::problems(&config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_misspelt_keys_are_named_with_what_was_meant() {
        let found = problems(json!({
            "data": {"kind": "photos", "pacth": 16},
            "network": {"kind": "residual_mlp", "witdh": 64},
            "post_train": {"stpes": 3, "optimizer": {"learning_rat": 1}, "strategy": {"kind": "mixfow"}},
            "compere": {}, "zzz": 1
        }));
        for expected in [
            "data.pacth is no key; did you mean `patch`?",
            "network.witdh is no key; did you mean `width`?",
            "post_train.stpes is no key; did you mean `steps`?",
            "post_train.optimizer.learning_rat is no key; did you mean `learning_rate`?",
            "post_train.strategy.kind = \"mixfow\": must be one of",
            "did you mean \"mixflow\"?",
            "compere is no key; did you mean `compare`?",
            "zzz is no key; known here:",
        ] {
            assert!(found.iter().any(|problem| problem.contains(expected)), "{expected:?} is not in {found:#?}");
        }
        assert_eq!(found.len(), 7);
    }

    #[test]
    fn words_of_others_and_keys_of_other_kinds_are_understood() {
        let found = problems(json!({
            "data": {"kind": "photos", "folder": "x"}, "network": {"kind": "residual_mlp"}, "gamma": 0.1,
            "post_train": {"gamma": 0.1, "epochs": 3, "optimizer": {"lr": 1}},
            "start": {"kind": "pretrain", "file": "a.pt"}
        }));
        for expected in [
            "gamma is no key; did you mean `post_train.strategy.gamma`?",
            "post_train.gamma is no key; did you mean `post_train.strategy.gamma`?",
            "post_train.epochs is no key; did you mean `steps`?",
            "post_train.optimizer.lr is no key; did you mean `learning_rate`?",
            "start.file is a key of kind \"weights\", not of \"pretrain\"",
            "data.folder is a key of kind",
        ] {
            assert!(found.iter().any(|problem| problem.contains(expected)), "{expected:?} is not in {found:#?}");
        }
        assert_eq!(found.len(), 6, "{found:#?}");
    }

    #[test]
    fn wrong_types_keep_their_path_inside_tagged_objects() {
        let found = problems(json!({
            "data": {"kind": "photos", "patch": null},
            "network": null,
            "start": {"kind": "pretrain", "steps": "many"},
            "post_train": {"strategy": "mixflow", "batch_size": -1},
            "sample": {"sampler": {"steps": 5, "batch_size": 4, "solver": "eule", "guidance": {"scale": "x", "per": 1}}},
            "compare": {"samplers": [{"name": "a", "solver": {"sde": {"norm": ""}}}, {"name": "b", "times": {"kind":
                "shifted", "shift": {"factor": null}}}], "seeds": [1e3, 18446744073709551616_f64, -1]}
        }));
        for expected in [
            "data.patch = null: must be a whole number",
            "network = null: must be an object such as {\"kind\": \"residual_mlp\"}",
            "start.steps = \"many\": must be a whole number",
            "post_train.strategy = \"mixflow\": must be an object such as {\"kind\": \"mixflow\"}",
            "post_train.batch_size = -1: must not be negative",
            "sample.sampler.solver = \"eule\": must be",
            "did you mean \"euler\"?",
            "sample.sampler.guidance.scale = \"x\": must be a number",
            "sample.sampler.guidance.per = 1: must be",
            "compare.samplers[0].solver.sde.norm = \"\": must be a number",
            "compare.samplers[1].times.shift.factor = null: must be a number",
            "compare.seeds[0] = 1000.0: must be a whole number, written in digits alone, at most 18446744073709551615",
            "compare.seeds[1] = 1.8446744073709552e+19: must be a whole number, written in digits alone",
            "compare.seeds[2] = -1: must not be negative",
        ] {
            assert!(found.iter().any(|problem| problem.contains(expected)), "{expected:?} is not in {found:#?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let found = problems(json!({"network": {"width": 3}}));
        assert!(found.contains(&"data is missing".to_string()), "{found:?}");
        assert!(found.iter().any(|p| p.starts_with("network.kind is missing: must be one of")), "{found:?}");
    }
}
