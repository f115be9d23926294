//! Networks that nobody can train are refused before anything of them is allocated.
use crate::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Blocks that a network has at most; the deepest that were ever trained have a tenth.
pub(super) const MOST_BLOCKS: usize = 10_000;

/// Numbers that a network holds at most, 4 TiB of weights.
pub(super) const MOST_PARAMETERS: u128 = 1 << 40;

/// A size in a configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SizeKey {
    /// Its path, as `hidden_size[0]`.
    pub path: String,
    /// Its value.
    pub value: Value,
}

impl SizeKey {
    /// The problem that this size, below `path`, violates `condition`.
    pub(crate) fn problem(&self, path: &str, condition: &str) -> Problem {
        let mut problems = Vec::new();
        Problem::unless(&mut problems, false, path, &self.path, &self.value, condition);
        problems.remove(0)
    }
}

/// A violated limit of the numbers that the network of `config`, which has no other problem, would hold.
pub(super) fn problems<T: Serialize + DeserializeOwned>(
    config: &T,
    path: &str,
    count: impl Fn(&T) -> u128,
) -> Vec<Problem> {
    let numbers = count(config);
    if numbers <= MOST_PARAMETERS {
        return Vec::new();
    }
    let condition =
        format!("the network would have {} parameters, at most {MOST_PARAMETERS} can be", readable(numbers));
    let whole = || Problem { path: path.into(), message: format!(": {condition}") };
    vec![heaviest(config, count).map_or_else(whole, |key| key.problem(path, &condition))]
}

/// A count, or that it is beyond all.
pub(crate) fn readable(count: u128) -> String {
    if count < u128::from(u64::MAX) { count.to_string() } else { "more than 10^19".into() }
}

/// The number in `config` that `count` would be least without, with 1 in its place; the largest of several. None if there
/// are no numbers.
pub(crate) fn heaviest<T: Serialize + DeserializeOwned>(config: &T, count: impl Fn(&T) -> u128) -> Option<SizeKey> {
    let whole = serde_json::to_value(config).ok()?;
    let without = |pointer: &String| {
        let mut smaller = whole.clone();
        *smaller.pointer_mut(pointer)? = Value::from(1);
        Some(count(&serde_json::from_value(smaller).ok()?))
    };
    let size = |pointer: &String| whole.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    let weighed = numbers(&whole).into_iter().filter_map(|pointer| Some((without(&pointer)?, pointer)));
    let (_, pointer) = weighed.min_by(|(a, one), (b, other)| a.cmp(b).then(size(other).total_cmp(&size(one))))?;
    let value = whole.pointer(&pointer)?.clone();
    Some(SizeKey { path: path_of(&pointer), value })
}

/// Where the numbers of an object are, those of its lists one by one.
fn numbers(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let items = value.as_array().into_iter().flatten().enumerate();
        found.extend(items.filter(|(_, item)| item.is_number()).map(|(i, _)| format!("/{key}/{i}")));
        found.extend(value.is_number().then(|| format!("/{key}")));
    }
    found
}

/// `/a/0` as `a[0]`.
fn path_of(pointer: &str) -> String {
    let mut parts = pointer.trim_start_matches('/').split('/');
    let key = parts.next().unwrap_or_default();
    parts.fold(key.to_string(), |path, index| format!("{path}[{index}]"))
}

#[cfg(test)]
mod tests {
    use crate::models::{MmditConfig, NetworkConfig, RaeConfig, RepaConfig, ResidualMlpConfig, SitConfig};
    use serde_json::{Value, json};

    /// The problems of a network whose `key` is `value`.
    fn with(kind: &str, key: &str, value: Value) -> Vec<String> {
        let mut config = json!({"kind": kind});
        config[key] = value;
        let config: NetworkConfig = serde_json::from_value(config).unwrap();
        config.problems("network", None, None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sizes_beyond_every_machine_are_named() {
        let huge =
            [1_u64 << 40, 1_000_000_000_000, 9_000_000_000_000_000_000, 1 << 62, 1 << 63, u64::MAX - 3, u64::MAX];
        let config = |kind: &str| serde_json::to_value(network(kind)).unwrap();
        let mut tried = 0;
        for kind in ["residual_mlp", "sit", "repa", "rae", "mmdit"] {
            for (key, old) in config(kind).as_object().unwrap() {
                for value in huge {
                    let new = match old {
                        Value::Number(_) => json!(value),
                        Value::Array(list) => json!(vec![value; list.len()]),
                        _ => continue,
                    };
                    let found = with(kind, key, new);
                    // A weight of the loss may be any number.
                    if key != "alignment_weight" {
                        assert!(found.iter().any(|problem| problem.contains(key)), "{kind}.{key} = {value}: {found:?}");
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 200, "{tried}");
    }

    fn network(kind: &str) -> NetworkConfig {
        match kind {
            "residual_mlp" => NetworkConfig::ResidualMlp(ResidualMlpConfig::default()),
            "sit" => NetworkConfig::Sit(SitConfig::default()),
            "repa" => NetworkConfig::Repa(RepaConfig::default()),
            "rae" => NetworkConfig::Rae(RaeConfig::default()),
            _ => NetworkConfig::Mmdit(MmditConfig::default()),
        }
    }

    #[test]
    fn the_largest_size_is_blamed() {
        let found = with("residual_mlp", "width", json!(1_000_000_000_000_u64));
        assert!(
            found[0].starts_with("network.width = 1000000000000: the network would have more than 10^19"),
            "{found:?}"
        );
        let found = with("residual_mlp", "expansion", json!(1_u64 << 62));
        assert!(found[0].starts_with("network.expansion = 4611686018427387904: the network would have"), "{found:?}");
        let found = with("rae", "hidden_size", json!([1152, 1_000_000_000_000_000_u64]));
        assert!(found[0].starts_with("network.hidden_size[1] = 1000000000000000: the network would"), "{found:?}");
    }
}
