//! How fast an average follows: `d`, or `min(d, (1 + k)/(10 + k))` at update `k`.
use crate::Problem;
use serde::{Deserialize, Serialize};

/// The exponential moving average that validation and sampling use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EmaConfig {
    /// Decay `d` in [0, 1).
    pub decay: f64,
    /// Use `min(d, (1 + k)/(10 + k))` at update `k`, so that a short run is not dominated by its start.
    pub ramp: bool,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self { decay: 0.9999, ramp: true }
    }
}

impl EmaConfig {
    /// The decay of update `k`, counted from 0.
    pub fn decay_at(&self, update: u64) -> f64 {
        if self.ramp { self.decay.min((1.0 + update as f64) / (10.0 + update as f64)) } else { self.decay }
    }

    /// Every value out of its range, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let holds = (0.0..1.0).contains(&self.decay);
        Problem::unless(&mut problems, holds, path, "decay", self.decay, "must be in [0, 1)");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_starts_low_and_ends_at_the_decay() {
        let ema = EmaConfig { decay: 0.999, ramp: true };
        assert_eq!(ema.decay_at(0), 0.1);
        assert_eq!(ema.decay_at(1_000_000), 0.999);
    }

    #[test]
    fn a_decay_out_of_range_is_reported() {
        for decay in [-0.1, 1.0, 1.5, f64::NAN] {
            let found = EmaConfig { decay, ramp: false }.problems("ema");
            assert_eq!(found[0].to_string(), format!("ema.decay = {decay}: must be in [0, 1)"));
        }
        assert_eq!(EmaConfig::default().problems("ema"), []);
    }
}
