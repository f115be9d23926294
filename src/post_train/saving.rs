//! When a training is saved, which sets stay, and when it ends by itself.
use crate::Problem;
use crate::checkpoint::{Best, Retention};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a training is saved besides at each validation, and which sets stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between saves; only those of validations if left out.
    pub every_steps: Option<usize>,
    /// Minutes between saves, so that a killed process loses no more than this; `null` for none.
    pub every_minutes: Option<f64>,
    /// Which sets stay when a newer one is complete.
    pub keep: Retention,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_steps: None, every_minutes: Some(15.0), keep: Retention::default() }
    }
}

impl CheckpointConfig {
    /// Everything out of range.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = self.keep.problems(&format!("{path}.keep"));
        let steps = self.every_steps.unwrap_or(1);
        Problem::unless(&mut problems, steps > 0, path, "every_steps", steps, "must be at least 1");
        let minutes = self.every_minutes.unwrap_or(1.0);
        let range = minutes > 0.0 && minutes <= 1e6;
        Problem::unless(&mut problems, range, path, "every_minutes", minutes, "must be in (0, 1e6]");
        problems
    }

    /// The time between saves.
    pub(super) fn save_after(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(60.0 * self.every_minutes?).ok()
    }
}

/// Ends a training whose validation loss improves no more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validations without a better loss, at least 1, after which the training is at its end.
    pub patience: usize,
    /// By how much a loss must be smaller to be better, at least 0.
    #[serde(default)]
    pub min_improvement: f64,
}

impl EarlyStopping {
    /// Everything out of range.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (patience, least) = (self.patience, self.min_improvement);
        Problem::unless(&mut problems, patience > 0, path, "patience", patience, "must be at least 1");
        let valid = least >= 0.0 && least.is_finite();
        Problem::unless(&mut problems, valid, path, "min_improvement", least, "must be at least 0");
        problems
    }

    /// Whether the training is at its end at `step`, with a validation every so many steps.
    pub(crate) fn is_due(&self, best: Option<Best>, step: usize, validate_every: usize) -> bool {
        best.is_some_and(|best| step.saturating_sub(best.step) / validate_every.max(1) >= self.patience)
    }
}

/// The best validation so far, after one more.
pub(super) fn better(best: Option<Best>, loss: f64, step: usize, early: Option<EarlyStopping>) -> Option<Best> {
    let least = early.map_or(0.0, |early| early.min_improvement);
    let is_better = loss.is_finite() && best.is_none_or(|old| loss < old.loss - least);
    if is_better { Some(Best { step, loss }) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_ends_after_its_patience() {
        let early = EarlyStopping { patience: 2, min_improvement: 0.1 };
        let mut best = None;
        let mut ended = Vec::new();
        for (step, loss) in [(5, 1.0), (10, 0.5), (15, 0.45), (20, f64::NAN), (25, 0.39)] {
            best = better(best, loss, step, Some(early));
            ended.push(early.is_due(best, step, 5));
        }
        assert_eq!(ended, [false, false, false, true, false]);
        assert_eq!(best, Some(Best { step: 25, loss: 0.39 }));
        assert!(!early.is_due(None, 100, 5));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let checkpoints: CheckpointConfig =
            serde_json::from_str(r#"{"every_steps": 0, "every_minutes": -1, "keep": {"last": 1}}"#).unwrap();
        let found: Vec<String> = checkpoints.problems("c").iter().map(ToString::to_string).collect();
        let expected = [
            "c.keep.last = 1: must be at least 2, as one set may get damaged",
            "c.every_steps = 0: must be at least 1",
            "c.every_minutes = -1: must be in (0, 1e6]",
        ];
        assert_eq!(found, expected);
        assert_eq!(EarlyStopping { patience: 0, min_improvement: -1.0 }.problems("e").len(), 2);
    }
}
