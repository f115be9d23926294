//! The mixture range γ as the JSON says it: a number, or `"auto"`.
use crate::Problem;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const AUTO: &str = "auto";

/// The mixture range γ of MixFlow: a number in [0, 1], or `"auto"`, to be chosen by pilots before training.
///
/// A strategy whose γ is still [`Auto`](Self::Auto) cannot be built; see
/// the section `gamma_search` of an experiment.
/// ```
/// use burn_mixflow::timestep::Gamma;
/// assert_eq!(serde_json::from_str::<Gamma>("0.4").unwrap(), Gamma::Is(0.4));
/// assert_eq!(serde_json::from_str::<Gamma>("\"auto\"").unwrap(), Gamma::Auto);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gamma {
    /// This γ.
    Is(f64),
    /// The γ that pilots find best at the steps it is to be sampled with.
    Auto,
}

impl Gamma {
    /// The number, if there is one.
    pub fn number(self) -> Option<f64> {
        if let Self::Is(gamma) = self { Some(gamma) } else { None }
    }

    /// What stands in the way of training with it, under `path`.
    pub(super) fn problems(self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self {
            Self::Is(gamma) => {
                Problem::unless(&mut problems, (0.0..=1.0).contains(&gamma), path, "gamma", gamma, "must be in [0, 1]");
            }
            Self::Auto => {
                let message = "must be a number here; only the post-training of a run or of a system can choose one";
                Problem::unless(&mut problems, false, path, "gamma", "\"auto\"", message);
            }
        }
        problems
    }
}

impl From<f64> for Gamma {
    fn from(gamma: f64) -> Self {
        Self::Is(gamma)
    }
}

impl fmt::Display for Gamma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(gamma) => gamma.fmt(f),
            Self::Auto => AUTO.fmt(f),
        }
    }
}

impl Serialize for Gamma {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(gamma) => serializer.serialize_f64(*gamma),
            Self::Auto => serializer.serialize_str(AUTO),
        }
    }
}

impl<'de> Deserialize<'de> for Gamma {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Gamma;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in [0, 1] or \"auto\"")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Gamma, E> {
                Ok(Gamma::Is(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Gamma, E> {
                Ok(Gamma::Is(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Gamma, E> {
                Ok(Gamma::Is(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Gamma, E> {
                if value == AUTO {
                    Ok(Gamma::Auto)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(value), &self))
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Gamma {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Gamma".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The mixture range γ: a number in [0, 1], or \"auto\", to be chosen by pilots before training.",
            "anyOf": [{"type": "number", "format": "double"}, {"const": AUTO}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_auto_and_nothing_else() {
        for (json, gamma) in
            [("0.4", Gamma::Is(0.4)), ("1", Gamma::Is(1.0)), ("-1", Gamma::Is(-1.0)), ("\"auto\"", Gamma::Auto)]
        {
            assert_eq!(serde_json::from_str::<Gamma>(json).unwrap(), gamma);
        }
        for gamma in [Gamma::Is(0.35), Gamma::Auto] {
            assert_eq!(serde_json::from_str::<Gamma>(&serde_json::to_string(&gamma).unwrap()).unwrap(), gamma);
        }
        for json in ["\"automatic\"", "null", "[0.4]", "true"] {
            let error = serde_json::from_str::<Gamma>(json).unwrap_err().to_string();
            assert!(error.contains("a number in [0, 1] or \"auto\""), "{error}");
        }
    }

    #[test]
    fn problems_name_the_condition() {
        let text = |gamma: Gamma| gamma.problems("strategy").iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(text(Gamma::Is(0.0)).is_empty() && text(Gamma::Is(1.0)).is_empty());
        assert_eq!(text(Gamma::Is(f64::NAN)), ["strategy.gamma = NaN: must be in [0, 1]"]);
        assert!(text(Gamma::Auto)[0].starts_with("strategy.gamma = \"auto\": must be a number here"));
    }
}
