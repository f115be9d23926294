//! What a set of checkpoints belongs to.
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::{Bool, DType, Int, Shape, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What the weights in a set are a function of: another training must not go on from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The configuration of the training, as JSON.
    pub configuration: Value,
    /// Names, shapes and types of the network's tensors: see [`architecture`].
    pub network: String,
    /// What else decides them, by its name: data, first weights, seed.
    pub made_of: BTreeMap<String, Value>,
}

impl Identity {
    /// Every key that differs, with the value there and the value here; empty for sets of the same training.
    pub fn differences(&self, here: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differences(&self.configuration, &here.configuration, "", &mut found);
        if self.network != here.network {
            found.push(format!("the network: was {}, now {}", self.network, here.network));
        }
        let absent = Value::Null;
        let names = self.made_of.keys().chain(here.made_of.keys().filter(|name| !self.made_of.contains_key(*name)));
        for name in names {
            let [old, new] = [self, here].map(|identity| identity.made_of.get(name).unwrap_or(&absent));
            differences(old, new, name, &mut found);
        }
        found
    }
}

/// Every value that differs between two JSON texts: `a.b: was 1, now 2`.
pub(crate) fn differences(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    let under = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in b {
                differences(a.get(key).unwrap_or(&Value::Null), value, &under(key), found);
            }
            for (key, value) in a.iter().filter(|(key, _)| !b.contains_key(*key)) {
                differences(value, &Value::Null, &under(key), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (old, new)) in a.iter().zip(b).enumerate() {
                differences(old, new, &format!("{path}[{i}]"), found);
            }
        }
        (old, new) if old != new && is_digest(old) && is_digest(new) => found.push(format!("{path}: differs")),
        (old, new) if old != new => found.push(format!("{path}: was {old}, now {new}")),
        _ => {}
    }
}

/// Whether a value is a digest, whose digits tell nobody anything.
fn is_digest(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The architecture of a network in a line: how many numbers in how many tensors, and a digest of their names, shapes and
/// types; of those in `recorded` alone, if that is given.
pub fn architecture<M: Module>(network: &M, recorded: Option<ParamGroup>) -> String {
    let mut visit = Architecture { recorded, ..Architecture::default() };
    network.visit(&mut visit);
    visit.text()
}

#[derive(Default)]
pub(super) struct Architecture {
    path: Vec<String>,
    tensors: BTreeMap<String, String>,
    numbers: u128,
    recorded: Option<ParamGroup>,
}

impl Architecture {
    pub(super) fn add(&mut self, name: String, shape: &[usize], dtype: &impl std::fmt::Debug) {
        self.numbers += shape.iter().map(|size| *size as u128).product::<u128>();
        self.tensors.insert(name, format!("{shape:?} {dtype:?}"));
    }

    /// Adds the parameter at this place, if it is recorded.
    fn see(&mut self, id: ParamId, what: impl FnOnce() -> (Shape, DType)) {
        let path = self.path.join(".");
        if self.recorded.as_ref().is_none_or(|group| group.matches(&id, Some(&path))) {
            let (shape, dtype) = what();
            self.add(path, &shape, &dtype);
        }
    }

    pub(super) fn text(&self) -> String {
        let mut hash = Sha256::new();
        for (name, what) in &self.tensors {
            hash.update(format!("{name} {what}\n"));
        }
        let digest = crate::digest::hex(hash.finalize(), 4);
        format!("{} numbers in {} tensors ({digest})", self.numbers, self.tensors.len())
    }
}

impl ModuleVisitor for Architecture {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.see(param.id, || {
            let tensor = param.transform_for_save().val();
            (tensor.shape(), tensor.dtype())
        });
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.see(param.id, || (param.val().shape(), param.val().dtype()));
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.see(param.id, || (param.val().shape(), param.val().dtype()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use serde_json::json;

    #[test]
    fn every_difference_is_named_with_both_values() {
        let identity = |steps: usize, network: &str, data: Value| Identity {
            configuration: json!({"steps": steps, "optimizer": {"clip": null}}),
            network: network.into(),
            made_of: [("data".to_string(), data)].into(),
        };
        let old = identity(10, "a", json!({"items": 24}));
        assert_eq!(old.differences(&old), [""; 0]);
        let new = Identity { made_of: BTreeMap::new(), ..identity(20, "b", json!(null)) };
        let expected = ["steps: was 10, now 20", "the network: was a, now b", "data: was {\"items\":24}, now null"];
        assert_eq!(old.differences(&new), expected);
        let (a, b) = (json!({"a": {"b": 1, "c": 2}, "d": [1]}), json!({"a": {"b": 3, "e": 4}, "d": [1]}));
        let mut found = Vec::new();
        differences(&a, &b, "x", &mut found);
        assert_eq!(found, ["x.a.b: was 1, now 3", "x.a.e: was null, now 4", "x.a.c: was 2, now null"]);
        let (a, b) = (json!([{"a": 1}, 2]), json!([{"a": 3}, 2]));
        differences(&a, &b, "y", &mut found);
        differences(&a, &json!([5]), "z", &mut found);
        assert_eq!(found[3..], ["y[0].a: was 1, now 3", "z: was [{\"a\":1},2], now [5]"]);
        let (a, b) = (json!({"labels": "24c44b4c5e8998d6"}), json!({"labels": "10971e89fe7cde55"}));
        differences(&a, &b, "data", &mut found);
        assert_eq!(found[5..], ["data.labels: differs"]);
        let fewer = identity(10, "a", json!({"items": 12}));
        assert_eq!(old.differences(&fewer), ["data.items: was 24, now 12"]);
    }

    #[test]
    fn an_architecture_is_names_shapes_and_types() {
        let device = Default::default();
        let of = |inputs, bias| architecture(&LinearConfig::new(inputs, 2).with_bias(bias).init(&device), None);
        assert_eq!(of(3, true), of(3, true));
        assert!(of(3, true).starts_with("8 numbers in 2 tensors ("), "{}", of(3, true));
        assert_ne!(of(3, true), of(2, true));
        assert_ne!(of(3, true), of(3, false));
    }
}
