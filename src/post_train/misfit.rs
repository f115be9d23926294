//! Where in a JSON value stands what its type cannot hold.
//!
//! Serde reads an object with a `kind` into a buffer first, and forgets where in it an error was. Reading it again with
//! other values in its place finds it.
use crate::{Error, Problem, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// Something that no key of a configuration holds.
const PROBE: &str = "\u{1}probe";

/// `value` as a `T`.
///
/// # Errors
/// [`Error::Config`] with the whole path of the first key that is wrong; `whole` stands for the top.
pub(crate) fn read<T: DeserializeOwned>(value: &Value, whole: &str) -> Result<T> {
    if !value.is_object() {
        let message = ": must be an object, of keys and values".into();
        return Err(Error::Config(vec![Problem { path: whole.into(), message }]));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (place, message) = (pointer(error.path()), error.inner().to_string());
        let place = Search::<T>::new(value, &message).from(place);
        let path = if place.is_empty() { whole.into() } else { path_of(&place) };
        Error::Config(vec![Problem { path, message: format!(": {message}") }])
    })
}

/// Keys and indices down to a place.
type Place = Vec<Key>;

#[derive(Debug, Clone)]
enum Key {
    Name(String),
    Index(usize),
}

fn pointer(path: &serde_path_to_error::Path) -> Place {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Key::Name(key.clone())),
        Segment::Seq { index } => Some(Key::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(key).collect()
}

fn path_of(place: &[Key]) -> String {
    place.iter().fold(String::new(), |path, key| match key {
        Key::Name(name) if path.is_empty() => name.clone(),
        Key::Name(name) => format!("{path}.{name}"),
        Key::Index(index) => format!("{path}[{index}]"),
    })
}

fn at<'v>(value: &'v mut Value, place: &[Key]) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, key| match key {
        Key::Name(name) => value.get_mut(name),
        Key::Index(index) => value.get_mut(index),
    })
}

struct Search<'a, T> {
    value: &'a Value,
    message: &'a str,
    read: std::marker::PhantomData<T>,
}

impl<'a, T: DeserializeOwned> Search<'a, T> {
    fn new(value: &'a Value, message: &'a str) -> Self {
        Self { value, message, read: std::marker::PhantomData }
    }

    /// The place of the error, at or below `place`.
    fn from(&self, place: Place) -> Place {
        let quoted = |before: &str| self.message.strip_prefix(before)?.split('`').next();
        if let Some(key) = quoted("unknown field `") {
            let without = |object: &mut Value| object.as_object_mut().and_then(|keys| keys.remove(key)).map(drop);
            return self.object(&place, &without).unwrap_or(place);
        }
        if let Some(key) = quoted("missing field `") {
            let with = |object: &mut Value| {
                let keys = object.as_object_mut().filter(|keys| !keys.contains_key(key))?;
                keys.insert(key.into(), PROBE.into());
                Some(())
            };
            return self.object(&place, &with).unwrap_or(place);
        }
        if let Some(kind) = quoted("unknown variant `") {
            let other = |object: &mut Value| {
                let given = object.get_mut("kind").filter(|given| *given == kind)?;
                *given = PROBE.into();
                Some(())
            };
            let mut found = self.object(&place, &other);
            found.iter_mut().for_each(|place| place.push(Key::Name("kind".into())));
            if let Some(found) = found {
                return found;
            }
        }
        self.value_below(place)
    }

    /// The first object at or below `place` that `change` applies to and that is wrong in another way then.
    fn object(&self, place: &Place, change: &dyn Fn(&mut Value) -> Option<()>) -> Option<Place> {
        let mut value = self.value.clone();
        let applied = at(&mut value, place).and_then(change).is_some();
        let differs = applied
            && self.error(&value).is_none_or(|error| {
                let key = self.message.split('`').nth(1).unwrap_or_default();
                error != self.message && !error.starts_with(&format!("unknown field `{key}`"))
            });
        if differs {
            return Some(place.clone());
        }
        self.below(place).iter().find_map(|place| self.object(place, change))
    }

    /// A value that is wrong itself. Values are read in their order, so that one before it is wrong first if it is
    /// replaced, and one after it is never read: it is the last whose replacement matters.
    fn value_below(&self, place: Place) -> Place {
        let matters = |place: &&Place| {
            let mut value = self.value.clone();
            at(&mut value, place).is_some_and(|value| {
                *value = PROBE.into();
                true
            }) && self.error(&value).as_deref() != Some(self.message)
        };
        let below = self.below(&place);
        // A list is read to its end before its length is judged.
        let entries = self.message.starts_with("invalid length");
        let entry = |place: &&Place| entries && matches!(place.last(), Some(Key::Index(_)));
        let guilty = below.iter().rev().find(|place| !entry(place) && matters(place)).cloned();
        guilty.map_or(place, |place| self.value_below(place))
    }

    /// What lies right below a place, but the `kind` of an object.
    fn below(&self, place: &Place) -> Vec<Place> {
        let mut value = self.value.clone();
        let keys: Vec<Key> = match at(&mut value, place) {
            Some(Value::Object(keys)) => keys.keys().filter(|key| *key != "kind").cloned().map(Key::Name).collect(),
            Some(Value::Array(list)) => (0..list.len()).map(Key::Index).collect(),
            _ => Vec::new(),
        };
        keys.into_iter().map(|key| place.iter().cloned().chain([key]).collect()).collect()
    }

    fn error(&self, value: &Value) -> Option<String> {
        T::deserialize(value).err().map(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::StageConfig;

    fn error(json: &str) -> String {
        let text = StageConfig::parse(json).unwrap_err().to_string();
        text.lines().nth(1).unwrap().trim().to_string()
    }

    #[test]
    fn the_path_is_whole_inside_objects_with_a_kind() {
        for (json, expected) in [
            (r#"{"strategy": {"kind": "mixflow", "gamma": "x"}}"#, "strategy.gamma : invalid type: string \"x\""),
            (r#"{"strategy": {"kind": "mixflow", "gamma": null}}"#, "strategy.gamma : invalid type: "),
            (
                r#"{"strategy": {"kind": "mixflow", "truncate": [0, "x"]}}"#,
                "strategy.truncate[1] : invalid type: string",
            ),
            (r#"{"strategy": {"kind": "mixflow", "truncate": [0]}}"#, "strategy.truncate : invalid length 1"),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "beta", "a": 1, "b": []}, "slowing": {"kind": "none"}}}"#,
                "strategy.density.b : invalid type: sequence",
            ),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "beta", "a": "x", "b": "x"}, "slowing": 1}}"#,
                "strategy.density.a : invalid type: string \"x\"",
            ),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "beta", "a": 1}, "slowing": {"kind": "none"}}}"#,
                "strategy.density : missing field `b`",
            ),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "uniform", "a": 1}, "slowing": {"kind": "none"}}}"#,
                "strategy.density : unknown field `a`",
            ),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "uniform"}}}"#,
                "strategy : missing field `slowing`",
            ),
            (r#"{"strategy": {"kind": "mixfow"}}"#, "strategy.kind : unknown variant `mixfow`"),
            (
                r#"{"strategy": {"kind": "product", "density": {"kind": "bet"}, "slowing": {"kind": "none"}}}"#,
                "strategy.density.kind : unknown variant `bet`",
            ),
            (r#"{"strategy": {}}"#, "strategy : missing field `kind`"),
            (
                r#"{"input": {"kind": "rollout", "steps": 1.5, "span": 1}}"#,
                "input.steps : invalid type: floating point",
            ),
            (r#"{"optimizer": {"betas": [0.9, null]}}"#, "optimizer.betas[1] : invalid type: null"),
            (r#"{"steps": {"a": 1}}"#, "steps : invalid type: map"),
            (
                r#"{"steps": 1, "steps": 2}"#,
                "the stage is not JSON: the key \"steps\" stands twice in one object at line 1",
            ),
            ("[1, 2]", "the stage : must be an object"),
            ("[]", "the stage : must be an object"),
        ] {
            assert!(error(json).starts_with(expected), "{expected:?} is not the beginning of {:?}", error(json));
        }
    }
}
