//! A piecewise constant density: `p(t) ∝ h_i` on `[i/n, (i + 1)/n]`.
use super::few::Few;
use crate::Problem;
use serde::{Deserialize, Serialize};

/// The values of [`Density::Table`](super::Density::Table), one per equal interval of [0, 1]; in JSON an array.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Heights(Few);

impl TryFrom<Vec<f32>> for Heights {
    type Error = String;

    fn try_from(found: Vec<f32>) -> Result<Self, String> {
        Few::try_from(found).map(Self)
    }
}

impl From<Heights> for Vec<f32> {
    fn from(heights: Heights) -> Self {
        heights.0.into()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Heights {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Heights".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One value per equal interval of [0, 1]; at least 0, not all 0.",
            "type": "array",
            "items": { "type": "number", "minimum": 0 },
            "minItems": 1,
            "maxItems": super::few::MOST
        })
    }
}

impl Heights {
    /// The values, from the noise end to the data end.
    pub fn as_slice(&self) -> &[f32] {
        self.0.as_slice()
    }

    /// The t where the distribution function is `u`, both in [0, 1]; `u` itself where all values are 0.
    pub(super) fn quantile(&self, u: f64) -> f64 {
        let heights = self.as_slice();
        let count = heights.len() as f64;
        let total: f64 = heights.iter().map(|h| f64::from(*h)).sum();
        let mut left = u * total;
        let mut last = u;
        for (i, height) in heights.iter().map(|h| f64::from(*h)).enumerate().filter(|(_, h)| *h > 0.0) {
            if left <= height {
                return (i as f64 + left / height) / count;
            }
            left -= height;
            last = (i + 1) as f64 / count;
        }
        last
    }

    /// Every value out of its range, with `path` in front of its name.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (i, height) in self.as_slice().iter().enumerate() {
            let holds = *height >= 0.0 && height.is_finite();
            let key = format!("values[{i}]");
            Problem::unless(&mut problems, holds, path, &key, height, "must be finite and at least 0");
        }
        let some = !problems.is_empty() || self.as_slice().iter().any(|height| *height > 0.0);
        Problem::unless(&mut problems, some, path, "values", format!("{:?}", self.0), "must not all be 0");
        problems
    }
}
