//! A short list of numbers that can be copied, so that a law that holds one can be as well.
use serde::{Deserialize, Serialize};

/// The most numbers.
pub(super) const MOST: usize = 32;

/// Up to [`MOST`] numbers; in JSON an array.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub(super) struct Few {
    values: [f32; MOST],
    count: usize,
}

impl TryFrom<Vec<f32>> for Few {
    type Error = String;

    fn try_from(found: Vec<f32>) -> Result<Self, String> {
        if found.len() > MOST {
            return Err(format!("a table has at most {MOST} values, found {}", found.len()));
        }
        let mut values = [0.0; MOST];
        values[..found.len()].copy_from_slice(&found);
        Ok(Self { values, count: found.len() })
    }
}

impl From<Few> for Vec<f32> {
    fn from(few: Few) -> Self {
        few.as_slice().to_vec()
    }
}

impl std::fmt::Debug for Few {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Few {
    pub fn as_slice(&self) -> &[f32] {
        &self.values[..self.count]
    }
}
