//! How a network is trained: [`TrainStepBuilder`] collects it and checks it once.
use super::fault::Guard;
use super::step::Progress;
use super::{AntiDriftConfig, EmaConfig, InputConfig, MixFlowTrainStep, Objective, Precision};
use crate::network::PredictionNetwork;
use crate::path::is_linear;
use crate::timestep::TimestepStrategy;
use crate::{Error, Problem, Result};
use burn::module::ModuleDisplay;
use burn::train::Interrupter;
use std::sync::Arc;

/// What a train step holds besides its network.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub strategy: Arc<dyn TimestepStrategy>,
    pub objective: Objective,
    pub ema: EmaConfig,
    pub clip: Option<f64>,
    pub precision: Precision,
    pub condition_dropout: f64,
    pub input: Option<InputConfig>,
    pub anti_drift: Option<AntiDriftConfig>,
    pub micro_batches: usize,
    pub distance_every: u64,
    pub seed: u64,
}

impl Settings {
    pub fn new(strategy: Arc<dyn TimestepStrategy>) -> Self {
        Self {
            strategy,
            objective: Objective::default(),
            ema: EmaConfig::default(),
            clip: None,
            precision: Precision::F32,
            condition_dropout: 0.0,
            input: None,
            anti_drift: None,
            micro_batches: 1,
            distance_every: 0,
            seed: 0,
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.ema.problems("ema");
        let (clip, dropout, micro) = (self.clip.unwrap_or(1.0), self.condition_dropout, self.micro_batches);
        Problem::unless(&mut problems, clip > 0.0 && clip.is_finite(), "", "clip", clip, "must be positive");
        let probability = (0.0..=1.0).contains(&dropout);
        Problem::unless(&mut problems, probability, "", "condition_dropout", dropout, "must be in [0, 1]");
        Problem::unless(&mut problems, micro > 0, "", "micro_batches", micro, "must be at least 1");
        problems.extend(self.input.iter().flat_map(|input| input.problems("input")));
        let linear = is_linear(self.objective.path.as_ref());
        problems.extend(self.anti_drift.iter().flat_map(|a| a.problems_on("anti_drift", &[], linear)));
        problems
    }
}

/// Collects how a network is trained; see [`MixFlowTrainStep::builder`].
///
/// Left alone it is velocity prediction on the linear path, the default [`EmaConfig`], f32, one batch per update, seed 0,
/// and neither clipping, condition dropout, a changed input nor anti-drift.
#[derive(Debug)]
pub struct TrainStepBuilder<N, const D: usize> {
    network: N,
    settings: Settings,
    guard: Guard,
}

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> TrainStepBuilder<N, D> {
    pub(super) fn new(network: N, strategy: Arc<dyn TimestepStrategy>) -> Self {
        Self { network, settings: Settings::new(strategy), guard: Guard::default() }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// Sets path, prediction, target and loss weight.
    pub fn with_objective(self, objective: Objective) -> Self {
        self.set(|settings| settings.objective = objective)
    }

    /// Sets the decay of the average.
    pub fn with_ema(self, ema: EmaConfig) -> Self {
        self.set(|settings| settings.ema = ema)
    }

    /// Clips the global gradient norm to `norm`, positive, after accumulation and before the update.
    pub fn with_clip(self, norm: f64) -> Self {
        self.set(|settings| settings.clip = Some(norm))
    }

    /// Sets the type of numbers that training computes in; validation and sampling compute in that of the weights.
    pub fn with_precision(self, precision: Precision) -> Self {
        self.set(|settings| settings.precision = precision)
    }

    /// Drops the condition of a training sample with this probability, in [0, 1]. A network without a null condition stops
    /// the run with [`Fault::NoNullCondition`](super::Fault::NoNullCondition) before its first update.
    pub fn with_condition_dropout(self, probability: f64) -> Self {
        self.set(|settings| settings.condition_dropout = probability)
    }

    /// Changes what the network is shown in training; validation and [`MixFlowTrainStep::loss`] see exact interpolations.
    pub fn with_input(self, input: InputConfig) -> Self {
        self.set(|settings| settings.input = Some(input))
    }

    /// Adds anti-drift to the training loss; for strategies with `m = t` on the linear path.
    pub fn with_anti_drift(self, anti_drift: AntiDriftConfig) -> Self {
        self.set(|settings| settings.anti_drift = Some(anti_drift))
    }

    /// How many batches make one update, at least 1: devices × gradient accumulation. Burn adds their gradients;
    /// this divides, so that the update is that of one big batch.
    pub fn with_micro_batches(self, count: usize) -> Self {
        self.set(|settings| settings.micro_batches = count)
    }

    /// Measures `‖ema − network‖₂` every so many updates; 0 never.
    pub fn with_ema_distance_every(self, updates: u64) -> Self {
        self.set(|settings| settings.distance_every = updates)
    }

    /// The seed of the keys made for batches that come without.
    pub fn with_seed(self, seed: u64) -> Self {
        self.set(|settings| settings.seed = seed)
    }

    /// Lets a [`Fault`](super::Fault) stop the run: give the interrupter that `SupervisedTraining` uses.
    pub fn with_interrupter(mut self, interrupter: Interrupter) -> Self {
        self.guard.interrupter = Some(interrupter);
        self
    }

    /// The step.
    ///
    /// # Errors
    /// [`Error::Config`] with every value out of its range.
    pub fn build(self) -> Result<MixFlowTrainStep<N, D>> {
        Error::if_any(self.settings.problems())?;
        Ok(MixFlowTrainStep::assemble(self.network, self.settings, Progress::new(self.guard)))
    }
}
