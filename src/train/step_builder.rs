//! [`TrainStepBuilder`] collects how a network is trained, and checks it once.
use super::run_state::RunState;
use super::settings::Settings;
use super::shards::Shards;
use super::{
    AntiDriftConfig, EmaConfig, InputConfig, MagnitudeConfig, MixFlowTrainStep, NonFinitePolicy, Objective, Precision,
};
use crate::adapter::{self, AdapterConfig};
use crate::network::PredictionNetwork;
use crate::recompute::Checkpointing;
use crate::timestep::TimestepStrategy;
use crate::{Error, Result};
#[cfg(doc)]
use burn::module::Module;
use burn::module::ModuleDisplay;
use burn::tensor::Device;
use burn::train::Interrupter;
use std::sync::Arc;

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> MixFlowTrainStep<N, D> {
    /// As [`new`](Self::new), with more to say: objective, clipping, condition dropout, ...
    pub fn builder(network: N, strategy: Arc<dyn TimestepStrategy>) -> TrainStepBuilder<N, D> {
        TrainStepBuilder { network, settings: Settings::new(strategy), run: RunState::default() }
    }
}

/// Collects how a network is trained; see [`MixFlowTrainStep::builder`].
///
/// Left alone it is velocity prediction on the linear path, the default [`EmaConfig`], f32, one batch per update, seed 0,
/// and neither an adapter, clipping, condition dropout, a changed input nor a further loss.
#[derive(Debug)]
pub struct TrainStepBuilder<N, const D: usize> {
    network: N,
    settings: Settings,
    run: RunState,
}

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> TrainStepBuilder<N, D> {
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// Sets path, prediction, target and loss weight.
    pub fn with_objective(self, objective: Objective) -> Self {
        self.set(|settings| settings.objective = objective)
    }

    /// Sets the optimizer steps of the whole training, those before a resume included, at least 1: needed by a strategy that
    /// [changes](TimestepStrategy::at) over them, and used by no other. Steps beyond them draw as the last one.
    pub fn with_steps(self, steps: u64) -> Self {
        self.set(|settings| settings.steps = Some(steps))
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

    /// Sets which activations are kept for the backward pass. The network must hand its blocks to
    /// [`recomputed`](crate::recompute::recomputed), else there is a [`Fault`](super::Fault).
    pub fn with_checkpointing(self, checkpointing: Checkpointing) -> Self {
        self.set(|settings| settings.checkpointing = checkpointing)
    }

    /// Freezes the network and trains adapters beside its weights, whose first numbers are a function of the seed; see
    /// [`adapter`](crate::adapter). [`adapter::merged`] adds them to the weights.
    pub fn with_adapter(self, adapter: AdapterConfig) -> Self {
        self.set(|settings| settings.adapter = Some(adapter))
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

    /// Adds a loss on the magnitude of the velocity; for the linear path.
    pub fn with_magnitude(self, magnitude: MagnitudeConfig) -> Self {
        self.set(|settings| settings.magnitude = Some(magnitude))
    }

    /// How many batches make one update, at least 1: devices × gradient accumulation. Burn adds their gradients;
    /// this divides, so that the update is that of one big batch.
    pub fn with_micro_batches(self, count: usize) -> Self {
        self.set(|settings| settings.micro_batches = count)
    }

    /// How many of the micro-batches of an update run at the same time, each on a device of its own. With two or more, the
    /// step keeps their gradients and adds them in the order of the samples, so that the sum is the same in every run; the
    /// gradients that it hands to Burn are then empty.
    pub fn with_devices(self, count: usize) -> Self {
        self.set(|settings| settings.devices = count)
    }

    /// Spreads weights, average and moments over `devices`, as [`Sharding::Optimizer`](super::Sharding) has it: those that
    /// [`with_devices`](Self::with_devices) counts, the first of them that of the network. Burn's strategy is then
    /// `MultiDeviceOptim::OptimMainDevice`, which moves nothing, as the step stays where it is in [`Module::fork`].
    pub fn with_shards(self, devices: &[Device]) -> Self {
        self.set(|settings| settings.shards = Some(Shards::new(devices)))
    }

    /// What happens when a gradient is not finite. [`NonFinitePolicy::Rollback`] needs a [`Stage`](crate::post_train::Stage):
    /// here it stops.
    pub fn with_non_finite(self, policy: NonFinitePolicy) -> Self {
        self.set(|settings| settings.on_non_finite = policy)
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
        self.run.interrupter = Some(interrupter);
        self
    }

    /// Shares the state of the run with what cuts and saves it.
    pub(crate) fn with_run(self, run: RunState) -> Self {
        Self { run, ..self }
    }

    /// The step.
    ///
    /// # Errors
    /// [`Error::Config`] with every value out of its range, or for an adapter that fits no layer of the network.
    pub fn build(self) -> Result<MixFlowTrainStep<N, D>> {
        let Self { network, settings, run } = self;
        Error::if_any(settings.problems())?;
        let network = match &settings.adapter {
            Some(adapter) => adapter::attach(network, adapter, N::KEPT_IN_F32, settings.seed)?,
            None => network,
        };
        let network = match &settings.shards {
            Some(shards) => shards.scattered(network),
            None => network,
        };
        Ok(MixFlowTrainStep::assemble(network, settings, run))
    }
}
