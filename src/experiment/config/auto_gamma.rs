//! `"gamma": "auto"` in `post_train.strategy`: γ is chosen by pilots before anything else is trained.
//!
//! The paper's strategy knows only numbers. The word belongs to the experiment, which replaces it by the γ it chose.
use super::ExperimentConfig;
use crate::{Error, Result};
use serde_json::Value;

const AUTO: &str = "auto";
const PLACE: &str = "/post_train/strategy/gamma";

/// Whether pilots choose the γ of a strategy of this kind.
fn has_gamma(kind: &Value) -> bool {
    kind == "mixflow" || kind == "uniform_range"
}

/// Takes the word out of a configuration, and says whether it was there.
pub(super) fn take(config: &mut Value) -> bool {
    let auto = config.pointer(PLACE).is_some_and(|gamma| gamma == AUTO);
    let strategy = config.pointer_mut("/post_train/strategy").and_then(Value::as_object_mut);
    // Elsewhere the word stays, and is refused as the value of a number.
    let Some(strategy) = strategy.filter(|strategy| auto && strategy.get("kind").is_some_and(has_gamma)) else {
        return false;
    };
    strategy.remove("gamma");
    true
}

/// Lets a schema allow the word wherever pilots choose a strategy's γ.
pub(super) fn allow(schema: &mut Value) {
    let Some(kinds) = schema.pointer_mut("/$defs/StrategyConfig/oneOf").and_then(Value::as_array_mut) else { return };
    let chosen = kinds.iter_mut().filter(|kind| kind.pointer("/properties/kind/const").is_some_and(has_gamma));
    for gamma in chosen.filter_map(|kind| kind.pointer_mut("/properties/gamma")) {
        let description = gamma.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{description} In `post_train` also \"auto\": chosen by pilots.");
        let default = gamma.get("default").cloned().unwrap_or(Value::Null);
        *gamma = serde_json::json!({
            "description": description,
            "default": default,
            "anyOf": [{"type": "number", "format": "double"}, {"const": AUTO}],
        });
    }
}

impl ExperimentConfig {
    /// Whether γ is still to be chosen.
    pub fn gamma_is_auto(&self) -> bool {
        self.gamma_is_auto
    }

    pub(super) fn marked_auto(self, gamma_is_auto: bool) -> Self {
        Self { gamma_is_auto, ..self }
    }

    /// The same with `gamma` where the post-training says `"auto"`.
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        if self.gamma_is_auto {
            self.post_train.strategy = self.post_train.strategy.with_gamma(gamma).unwrap_or(self.post_train.strategy);
            self.gamma_is_auto = false;
        }
        self
    }

    /// The whole configuration as JSON, as [`parse`](Self::parse) takes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that JSON cannot hold.
    pub fn to_json(&self) -> Result<Value> {
        let mut json = serde_json::to_value(self).map_err(|e| Error::Invalid(e.to_string()))?;
        if let Some(gamma) = json.pointer_mut(PLACE).filter(|_| self.gamma_is_auto) {
            *gamma = AUTO.into();
        }
        Ok(json)
    }
}
