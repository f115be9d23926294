//! The schema for editors: a file that extends another need not be whole.
use serde_json::{Map, Value, json};

/// The definition of a whole file.
const WHOLE: &str = "ExperimentConfig";

/// What the names of definitions begin with where keys may be missing.
const PARTIAL: &str = "Partial";

/// `schema` for a file that stands alone; without required keys for one that `extends` another, where null removes a key
/// (RFC 7396). Lists replace those of the other file, so that their entries are whole.
pub(super) fn of(mut schema: Value) -> Value {
    let mut definitions = schema["$defs"].take().as_object().cloned().unwrap_or_default();
    let (dialect, title) = (schema["$schema"].take(), schema["title"].take());
    if let Some(keys) = schema.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    definitions.insert(WHOLE.into(), schema);
    let partial: Map<String, Value> =
        definitions.iter().map(|(name, schema)| (format!("{PARTIAL}{name}"), partial(schema))).collect();
    definitions.extend(partial);
    json!({
        "$schema": dialect,
        "title": title,
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": format!("#/$defs/{PARTIAL}{WHOLE}")},
        "else": {"$ref": format!("#/$defs/{WHOLE}")},
        "$defs": definitions,
    })
}

fn partial(schema: &Value) -> Value {
    let Some(object) = schema.as_object() else { return schema.clone() };
    let mut changed = Map::new();
    for (key, value) in object {
        let (key, value) = match key.as_str() {
            "required" => continue,
            // Without its required keys an object may be that of several kinds.
            "oneOf" | "anyOf" => ("anyOf", each(value)),
            "properties" => ("properties", removable(value)),
            "additionalProperties" if value == false => ("additionalProperties", json!({"type": "null"})),
            "$ref" => {
                let name = value.as_str().unwrap_or_default().replacen("#/$defs/", &format!("#/$defs/{PARTIAL}"), 1);
                ("$ref", Value::from(name))
            }
            other => (other, value.clone()),
        };
        changed.insert(key.into(), value);
    }
    Value::Object(changed)
}

fn each(choices: &Value) -> Value {
    choices.as_array().into_iter().flatten().map(partial).collect()
}

/// Every property, or null in its place.
fn removable(properties: &Value) -> Value {
    let one = |schema: &Value| {
        let mut schema = partial(schema);
        let description = schema.as_object_mut().and_then(|keys| keys.remove("description"));
        let mut either = json!({"anyOf": [schema, {"type": "null"}]});
        if let Some(description) = description {
            either["description"] = description;
        }
        either
    };
    let all = properties.as_object().into_iter().flatten().map(|(name, schema)| (name.clone(), one(schema)));
    Value::Object(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_be_missing_or_removed_but_not_misspelt() {
        let whole = json!({
            "$schema": "dialect",
            "title": "Example",
            "type": "object",
            "required": ["data"],
            "additionalProperties": false,
            "properties": {"data": {"$ref": "#/$defs/Data", "description": "The data."}},
            "$defs": {"Data": {"oneOf": [{"required": ["kind"], "properties": {"kind": {"const": "a"}}}]}}
        });
        let found = of(whole);
        assert_eq!(found["$defs"][WHOLE]["required"], json!(["data"]));
        assert_eq!(found["then"]["$ref"], "#/$defs/PartialExperimentConfig");
        let partial = &found["$defs"]["PartialExperimentConfig"];
        assert_eq!(partial.get("required"), None);
        assert_eq!(partial["additionalProperties"], json!({"type": "null"}));
        let data = &partial["properties"]["data"];
        assert_eq!(data["anyOf"][0]["$ref"], "#/$defs/PartialData");
        assert_eq!((&data["anyOf"][1]["type"], &data["description"]), (&json!("null"), &json!("The data.")));
        assert_eq!(found["$defs"]["PartialData"]["anyOf"][0].get("required"), None);
        assert_eq!(found["title"], "Example");
    }
}
