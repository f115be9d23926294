//! A mixture range that depends on the training timestep.
use super::few::Few;
use crate::Problem;
use serde::{Deserialize, Serialize};

/// γ at equally distant t, the first at t = 0 and the last at t = 1, linear between them; in JSON an array. One value is γ
/// everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gammas(Few);

impl TryFrom<Vec<f32>> for Gammas {
    type Error = String;

    fn try_from(found: Vec<f32>) -> Result<Self, String> {
        Few::try_from(found).map(Self)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Gammas {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Gammas".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "γ at equally distant t, from t = 0 to t = 1, linear between them.",
            "type": "array",
            "items": { "type": "number", "minimum": 0, "maximum": 1 },
            "minItems": 1,
            "maxItems": super::few::MOST
        })
    }
}

impl Gammas {
    /// The values, from the noise end to the data end.
    pub fn as_slice(&self) -> &[f32] {
        self.0.as_slice()
    }

    /// γ(t); 0 of an empty list.
    pub fn at(&self, t: f32) -> f32 {
        let values = self.as_slice();
        let Some(last) = values.len().checked_sub(1) else { return 0.0 };
        let place = t.clamp(0.0, 1.0) * last as f32;
        let left = (place as usize).min(last);
        let (a, b) = (values[left], values[(left + 1).min(last)]);
        a + (b - a) * (place - left as f32)
    }

    /// Whether γ = 0 everywhere.
    pub(super) fn are_none(&self) -> bool {
        self.as_slice().iter().all(|gamma| *gamma == 0.0)
    }

    /// Every value out of its range, with `path` in front of its name.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (i, gamma) in self.as_slice().iter().enumerate() {
            let holds = (0.0..=1.0).contains(gamma);
            Problem::unless(&mut problems, holds, path, &format!("gammas[{i}]"), gamma, "must be in [0, 1]");
        }
        let some = !self.as_slice().is_empty();
        Problem::unless(&mut problems, some, path, "gammas", "[]", "must hold at least one γ");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_linear_between_its_values() {
        let gammas = Gammas::try_from(vec![0.0, 0.4, 0.2]).unwrap();
        for (t, gamma) in [(0.0, 0.0), (0.25, 0.2), (0.5, 0.4), (0.75, 0.3), (1.0, 0.2)] {
            assert!((gammas.at(t) - gamma).abs() < 1e-6, "{t}");
        }
        assert_eq!(Gammas::try_from(vec![0.3]).unwrap().at(0.7), 0.3);
        assert!(Gammas::try_from(vec![0.5; 33]).is_err());
    }

    #[test]
    fn wrong_values_are_named() {
        let said = |values: Vec<f32>| -> Vec<String> {
            Gammas::try_from(values).unwrap().problems("strategy").iter().map(ToString::to_string).collect()
        };
        assert_eq!(said(vec![0.1, 1.5]), ["strategy.gammas[1] = 1.5: must be in [0, 1]"]);
        assert_eq!(said(vec![]), ["strategy.gammas = []: must hold at least one γ"]);
        assert!(said(vec![0.0, 1.0]).is_empty());
    }
}
