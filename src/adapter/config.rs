//! Which layers get an adapter, and of what size.
use super::layer::Layer;
use crate::Problem;
use crate::train::Precision;
use serde::{Deserialize, Serialize};

/// What is trained beside a frozen network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AdapterConfig {
    /// Two thin matrices beside each weight: W + (α/r) · A B.
    Lora(LoraConfig),
}

/// Adapters of low rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Columns of A and rows of B, at least 1 and at most the smaller side of every weight that is named.
    pub rank: usize,
    /// α, positive: A B counts α/r times.
    pub alpha: f64,
    /// Linear layers that get one, by whole segments of their paths: `"attn.qkv"` names `blocks.0.attn.qkv` and all like it,
    /// `"mlp"` every layer below an `mlp`. If left out, all whose weight has no side smaller than the rank.
    #[serde(rename = "match")]
    pub matching: Vec<String>,
    /// The type in which the frozen weights are held.
    pub base: BaseType,
}

/// The type of numbers of frozen weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BaseType {
    /// 32 bits, as they were loaded.
    #[default]
    F32,
    /// 16 bits. Training and validation then compute in bf16, as `precision` has to say.
    Bf16,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 16.0, matching: Vec::new(), base: BaseType::F32 }
    }
}

impl AdapterConfig {
    /// Everything out of range, with keys below `path`. Whether there are such layers only the network tells.
    pub fn problems(&self, path: &str, precision: Precision) -> Vec<Problem> {
        let Self::Lora(LoraConfig { rank, alpha, matching, base }) = self;
        let mut problems = Vec::new();
        let mut must = |holds: bool, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut problems, holds, path, key, value, condition);
        };
        must(*rank > 0, "rank", rank, "must be at least 1");
        must(*alpha > 0.0 && (*alpha as f32).is_finite(), "alpha", alpha, "must be positive, and finite in f32");
        for (i, name) in matching.iter().enumerate() {
            let whole = name.split('.').all(|segment| !segment.is_empty());
            let must_be = "must be segments of a path joined by dots, such as \"attn.qkv\"";
            must(whole, &format!("match[{i}]"), &format!("{name:?}"), must_be);
        }
        let fits = *base == BaseType::F32 || precision == Precision::Bf16;
        let needs = "needs `precision` = \"bf16\" beside it: computing in f32 would hold a second copy of the weights";
        must(fits, "base", &"\"bf16\"", needs);
        problems
    }

    /// Whether a linear layer gets an adapter.
    pub(crate) fn is_for(&self, Layer { path, sides }: &Layer) -> bool {
        let Self::Lora(LoraConfig { rank, matching, .. }) = self;
        match matching.is_empty() {
            true => sides.iter().all(|side| rank <= side),
            false => matching.iter().any(|name| names(name, path)),
        }
    }

    /// In which type validation computes.
    pub(crate) fn precision(&self) -> Precision {
        let Self::Lora(LoraConfig { base, .. }) = self;
        match base {
            BaseType::F32 => Precision::F32,
            BaseType::Bf16 => Precision::Bf16,
        }
    }
}

/// Whether the segments of `name` stand one after the other in `path`.
pub(super) fn names(name: &str, path: &str) -> bool {
    format!(".{path}.").contains(&format!(".{name}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str, precision: Precision) -> Vec<String> {
        let config: AdapterConfig = serde_json::from_str(json).unwrap();
        config.problems("adapter", precision).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_value_out_of_range_is_named() {
        let json = r#"{"kind": "lora", "rank": 0, "alpha": -1, "match": ["attn..qkv", "mlp", ""], "base": "bf16"}"#;
        let expected = [
            "adapter.rank = 0: must be at least 1",
            "adapter.alpha = -1: must be positive, and finite in f32",
            "adapter.match[0] = \"attn..qkv\": must be segments of a path joined by dots, such as \"attn.qkv\"",
            "adapter.match[2] = \"\": must be segments of a path joined by dots, such as \"attn.qkv\"",
            "adapter.base = \"bf16\": needs `precision` = \"bf16\" beside it: computing in f32 would hold a second copy of the \
             weights",
        ];
        assert_eq!(problems(json, Precision::F32), expected);
        assert_eq!(problems(json, Precision::Bf16).len(), 4);
        assert_eq!(problems(r#"{"kind": "lora"}"#, Precision::F32), [""; 0]);
        assert!(serde_json::from_str::<AdapterConfig>(r#"{"kind": "lora", "rnak": 4}"#).is_err());
    }
}
