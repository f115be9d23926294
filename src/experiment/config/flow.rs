//! What is learned: the path, what the network predicts, and how its error counts.
use crate::Problem;
use crate::path::{PathConfig, PredictionKind, TrainingInterval};
use crate::train::{LossWeight, Objective, TargetTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `flow`: what the weights of `start` were trained on, and post-training goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// The interpolation path.
    pub path: PathConfig,
    /// What the network predicts.
    pub prediction: PredictionKind,
    /// The weight of a noise or score error.
    pub loss_weight: LossWeight,
}

impl FlowConfig {
    /// Every value that would be ignored, with keys below `path`.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let weighted = matches!(self.prediction, PredictionKind::Noise | PredictionKind::Score);
        if self.loss_weight != LossWeight::Uniform && !weighted {
            let message = ": must be \"uniform\" unless prediction is \"noise\" or \"score\"";
            problems.push(Problem { path: format!("{path}.loss_weight"), message: message.into() });
        }
        problems
    }

    /// Whether both targets of a velocity are the same, so that `target` would be ignored.
    pub(super) fn has_one_target(&self) -> bool {
        self.path == PathConfig::Linear && self.prediction == PredictionKind::Velocity
    }

    /// The regression objective of a stage.
    pub fn objective(&self, target: TargetTime) -> Objective {
        Objective {
            path: self.path.build(),
            prediction: self.prediction,
            target,
            weight: self.loss_weight,
            interval: TrainingInterval::training(self.path, self.prediction),
        }
    }
}
