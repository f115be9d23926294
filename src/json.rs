//! JSON as people's editors write it: UTF-8 with or without a byte order mark, and every key once.
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// The value of a file.
///
/// # Errors
/// What is wrong, and where; two keys of one name among it, of which the first would be lost without a word.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("is UTF-16: save it as UTF-8".into());
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("is no text: byte {} is not UTF-8", error.valid_up_to() + 1))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let Once(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // Where a key is not read to its end it is called `?`.
        let path = error.path().to_string().replace(".?", "").replace('?', "");
        let at = if ["", "."].contains(&path.as_str()) || path.len() > LONGEST {
            String::new()
        } else {
            format!("{path}: ")
        };
        explained(text, &at, error.inner())
    })?;
    json.end().map_err(|error| explained(text, "", &error))?;
    Ok(value)
}

/// A path that is longer says nothing to a person.
const LONGEST: usize = 100;

/// Characters shown before the place of an error, and a fourth as many after it.
const SHOWN: usize = 40;

fn explained(text: &str, at: &str, error: &serde_json::Error) -> String {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let comment = ["//", "/*", "#"].iter().any(|mark| line.trim_start().starts_with(mark));
    // Columns count bytes. Of a long line what stands before the place is shown.
    let (from, to) = (error.column().saturating_sub(SHOWN), error.column() + SHOWN / 4);
    let near = line.char_indices().filter(|(at, _)| (from..to).contains(at)).map(|(_, c)| c);
    let shown: String = near.collect();
    let hint = match error.classify() {
        _ if comment => "; JSON has no comments".into(),
        serde_json::error::Category::Syntax if !shown.trim().is_empty() => format!(", near `{}`", shown.trim()),
        _ => String::new(),
    };
    format!("is not JSON: {at}{error}{hint}")
}

/// A value whose objects have every key once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything).map(Once)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            let Once(value) = object.next_value()?;
            if values.contains_key(&key) {
                return Err(A::Error::custom(format!("the key \"{key}\" stands twice in one object")));
            }
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_write_is_read_as_serde_reads_it() {
        let text = r#"{"a": [1, -2, 0.1, 1e300, "é", null, true, {}], "b": {"c": {"d": 18446744073709551615}}}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
        assert_eq!(parse(&[BYTE_ORDER_MARK, text.as_bytes()].concat()).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let utf16: Vec<u8> = "\u{FEFF}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (&utf16[..], "is UTF-16: save it as UTF-8"),
            (b"{\"a\": \"\xFF\"}", "is no text: byte 8 is not UTF-8"),
            (b"{\n  \"a\": {\"b\": 1,\n \"b\": 2}}", "a: the key \"b\" stands twice in one object at line 3"),
            (b"{\"a\": [{\"b\": 1, \"b\": 2}]}", "a[0]: the key \"b\" stands twice"),
            (b"{\"a\": {\n\"b\": 1e400}}", "a.b: number out of range at line 2 column 10, near `\"b\": 1e400}}`"),
            (b"{\"a\": {\"b\": NaN}}", "a.b: expected value at line 1"),
            (b"{} {}", "trailing characters"),
            (b"{\n  // gamma\n  \"a\": 1}", "; JSON has no comments"),
            (b"{\"a\": 1", "is not JSON: EOF"),
            ("[".repeat(1000).as_bytes(), "recursion limit"),
        ] {
            let error = parse(bytes).unwrap_err();
            assert!(error.contains(expected), "{expected:?} is not in {error:?}");
        }
    }
}
