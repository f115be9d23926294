//! How a network is trained, in values.
use super::shards::Shards;
use super::{AntiDriftConfig, EmaConfig, InputConfig, MagnitudeConfig, NonFinitePolicy, Objective, Precision};
use crate::Problem;
use crate::adapter::AdapterConfig;
use crate::path::is_linear;
use crate::recompute::Checkpointing;
use crate::timestep::TimestepStrategy;
use std::sync::Arc;

/// What a train step holds besides its network.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub strategy: Arc<dyn TimestepStrategy>,
    pub steps: Option<u64>,
    pub objective: Objective,
    pub ema: EmaConfig,
    pub clip: Option<f64>,
    pub precision: Precision,
    pub checkpointing: Checkpointing,
    pub adapter: Option<AdapterConfig>,
    pub condition_dropout: f64,
    pub input: Option<InputConfig>,
    pub anti_drift: Option<AntiDriftConfig>,
    pub magnitude: Option<MagnitudeConfig>,
    pub micro_batches: usize,
    pub devices: usize,
    pub shards: Option<Shards>,
    pub on_non_finite: NonFinitePolicy,
    pub distance_every: u64,
    pub seed: u64,
}

impl Settings {
    pub fn new(strategy: Arc<dyn TimestepStrategy>) -> Self {
        Self {
            strategy,
            steps: None,
            objective: Objective::default(),
            ema: EmaConfig::default(),
            clip: None,
            precision: Precision::F32,
            checkpointing: Checkpointing::None,
            adapter: None,
            condition_dropout: 0.0,
            input: None,
            anti_drift: None,
            magnitude: None,
            micro_batches: 1,
            devices: 1,
            shards: None,
            on_non_finite: NonFinitePolicy::default(),
            distance_every: 0,
            seed: 0,
        }
    }

    /// The type of numbers that validation computes in: that of the weights.
    pub fn validation_precision(&self) -> Precision {
        self.adapter.as_ref().map_or(Precision::F32, AdapterConfig::precision)
    }

    /// The strategy of step `step`, if it is not the same at all of them.
    pub fn strategy_at(&self, step: u64) -> Option<Arc<dyn TimestepStrategy>> {
        let progress = self.steps.map_or(0.0, |steps| step as f64 / steps.saturating_sub(1).max(1) as f64);
        self.strategy.at(progress.min(1.0))
    }

    /// Every value out of its range.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.ema.problems("ema");
        let (clip, dropout, micro) = (self.clip.unwrap_or(1.0), self.condition_dropout, self.micro_batches);
        Problem::unless(&mut problems, clip > 0.0 && clip.is_finite(), "", "clip", clip, "must be positive");
        let probability = (0.0..=1.0).contains(&dropout);
        Problem::unless(&mut problems, probability, "", "condition_dropout", dropout, "must be in [0, 1]");
        Problem::unless(&mut problems, micro > 0, "", "micro_batches", micro, "must be at least 1");
        let devices = self.devices;
        let shared = devices > 0 && micro.is_multiple_of(devices);
        Problem::unless(&mut problems, shared, "", "devices", devices, format!("must divide micro_batches = {micro}"));
        let steps = self.steps.unwrap_or(0);
        let known = steps > 0 || self.strategy.at(0.0).is_none();
        Problem::unless(
            &mut problems,
            known,
            "",
            "steps",
            steps,
            "must be at least 1 for a strategy that changes over them",
        );
        let alone = self.checkpointing == Checkpointing::None || self.anti_drift.is_none();
        let condition = "must be \"none\" beside `anti_drift`, whose second pass goes through the graph of the first";
        Problem::unless(&mut problems, alone, "", "checkpointing", "\"blocks\"", condition);
        problems.extend(self.adapter.iter().flat_map(|adapter| adapter.problems("adapter", self.precision)));
        problems.extend(self.on_non_finite.problems("on_non_finite"));
        problems.extend(self.input.iter().flat_map(|input| input.problems("input")));
        let linear = is_linear(self.objective.path.as_ref());
        problems.extend(self.anti_drift.iter().flat_map(|a| a.problems_on("anti_drift", &[], linear)));
        problems.extend(self.magnitude.iter().flat_map(|m| m.problems_on("magnitude", linear)));
        problems
    }
}
