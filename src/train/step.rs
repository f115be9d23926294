//! [`MixFlowTrainStep`]: a network, its EMA, and how it is trained, as one Burn module.
use super::count::{self, UpdateCount};
use super::keys::content_keys;
use super::pass::{Evaluated, Given, Samples, evaluate};
use super::run_state::{RunState, Shared};
use super::settings::Settings;
use super::shards::{Copies, copied};
use super::weights::Weights;
use super::{Draws, Fault, FlowBatch, FlowOutput, NonFinitePolicy, Precision, ema, gradients};
use crate::network::PredictionNetwork;
use crate::random::SampleKey;
use crate::recompute::{Checkpointing, Tape};
use crate::timestep::TimestepStrategy;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleDisplay, Param, ParamGroup, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use std::borrow::Cow;
use std::sync::{Arc, MutexGuard};

/// Trains a [`PredictionNetwork`] by flow matching with a [`TimestepStrategy`].
///
/// The raw network learns; the EMA validates and samples. Only the inner network is handed to the
/// optimizer, so its parameter paths are the user's own.
///
/// Load a record before the first step, as Burn does on resume: the saved count of updates is read from the
/// device once. With gradient accumulation let the batches of an epoch be a multiple of the micro-batches,
/// since Burn makes an update of what is left over at its end.
///
/// A record of it holds the network and its average; of a network with adapters what is trained of both, as whoever goes on has
/// the frozen weights.
#[doc(alias = "TrainStep")]
#[doc(alias = "ValidStep")]
#[doc(alias = "LearnerBuilder")]
#[derive(Debug)]
pub struct MixFlowTrainStep<N: Module, const D: usize> {
    pub(super) weights: Weights<N>,
    pub(super) settings: Settings,
    pub(super) progress: Progress,
    pub(super) copies: Copies<Weights<N>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    count: UpdateCount,
    run: RunState,
}

/// What is done with the gradients of an update.
enum Verdict {
    /// They are applied.
    Update(GradientsParams),
    /// The step counts, and changes nothing.
    Skip,
    /// No step is made any more.
    Halt,
}

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> MixFlowTrainStep<N, D> {
    /// Wraps `network`, built on an autodiff device, with the defaults of [`TrainStepBuilder`](super::TrainStepBuilder).
    pub fn new(network: N, strategy: Arc<dyn TimestepStrategy>) -> Self {
        Self::assemble(network, Settings::new(strategy), RunState::default())
    }

    pub(super) fn assemble(network: N, settings: Settings, run: RunState) -> Self {
        let device = network.devices().into_iter().next().unwrap_or_default();
        let updates = Param::initialized(ParamId::new(), Tensor::zeros([1], &device));
        let progress = Progress { count: UpdateCount::default(), run };
        let weights = Weights { ema: ema::start(&network), network, updates };
        Self { weights, settings, progress, copies: Copies::default() }
    }

    /// The raw network.
    pub fn network(&self) -> &N {
        &self.weights.network
    }

    /// The averaged network: validate and sample with it.
    pub fn ema(&self) -> &N {
        &self.weights.ema
    }

    /// What a record of the weights holds, if it is not all of them.
    pub(crate) fn recorded(&self) -> Option<ParamGroup> {
        self.weights.recorded()
    }

    /// Optimizer steps done, counted over resumed runs.
    pub fn updates(&self) -> u64 {
        count::read(&self.weights.updates)
    }

    /// [`updates`](Self::updates), read from the device only once: a record is loaded before the first step.
    fn step_count(&self) -> u64 {
        self.progress.count.get(&self.weights.updates)
    }

    /// What stopped training, if something did; no update is made after it.
    pub fn fault(&self) -> Option<Fault> {
        self.progress.run.fault()
    }

    /// The training loss `[batch]` of the raw network for given draws, auxiliary loss included. The data are taken
    /// as they are: see [`FlowBatch::drawn`] for data with a deviation.
    ///
    /// # Errors
    /// A [`Fault`] for a prediction or weight of the wrong shape, or dropped conditions without a null condition.
    pub fn loss(&self, batch: FlowBatch<D, N::Condition>, draws: &Draws<D>) -> Result<Tensor<1>, Fault> {
        self.loss_with(batch, draws, None)
    }

    /// As [`loss`](Self::loss); given the `keys` of the samples, with the input and the further losses of the settings.
    fn loss_with(
        &self,
        batch: FlowBatch<D, N::Condition>,
        draws: &Draws<D>,
        keys: Option<&[SampleKey]>,
    ) -> Result<Tensor<1>, Fault> {
        let FlowBatch { data, weight, condition, .. } = batch;
        let condition = match draws.dropped.iter().any(|d| *d) {
            true => self.weights.network.drop_condition(&condition, &draws.dropped).ok_or(Fault::NoNullCondition)?,
            false => condition,
        };
        let network = self.settings.precision.apply::<N, D>(&self.weights.network);
        let Settings { objective, input, anti_drift, magnitude, .. } = &self.settings;
        let given = |keys| Given { condition: &condition, keys, timesteps: &draws.timesteps };
        let shown = input
            .zip(keys)
            .map(|(input, keys)| input.show(&self.averaged(), objective, &data, &draws.noise, &given(keys)))
            .transpose()?;
        let samples = Samples { data: data.clone(), weight: weight.clone(), condition: &condition };
        let Evaluated { loss, auxiliary, predicted } = evaluate(&network, objective, samples, draws, shown)?;
        let loss = match magnitude.filter(|_| keys.is_some()) {
            Some(m) => loss + m.loss(objective, data.clone(), weight, predicted.clone(), &draws.timesteps),
            None => loss,
        };
        let loss = match anti_drift.zip(keys) {
            Some((anti_drift, keys)) => loss + anti_drift.loss(&network, objective, data, predicted, &given(keys))?,
            None => loss,
        };
        Ok(match auxiliary {
            Some(auxiliary) => loss + auxiliary,
            None => loss,
        })
    }

    /// As [`loss`](Self::loss) for the samples of `keys`, and what was cut on the way to it.
    fn loss_on_tape(
        &self,
        batch: FlowBatch<D, N::Condition>,
        draws: &Draws<D>,
        keys: &[SampleKey],
    ) -> Result<(Tensor<1>, Tape), Fault> {
        let loss = || self.loss_with(batch, draws, Some(keys));
        if self.settings.checkpointing == Checkpointing::None {
            return Ok((loss()?, Tape::default()));
        }
        let (loss, tape) = Tape::record(loss);
        if tape.is_empty() { loss.and(Err(Fault::NoBlocks)) } else { Ok((loss?, tape)) }
    }

    /// The average, in the type of numbers of the weights.
    pub(crate) fn averaged(&self) -> N {
        self.settings.validation_precision().apply::<N, D>(self.ema())
    }

    /// The same step with a network on `device`, and an average if training looks at it; itself if it is not spread over
    /// devices.
    fn on(&self, device: &Device) -> Cow<'_, Self> {
        let Settings { shards: Some(_), precision, input, .. } = &self.settings else { return Cow::Borrowed(self) };
        let weights = self.copies.of(device).unwrap_or_else(|| {
            let Weights { network, ema, updates } = &self.weights;
            let ema = if input.is_some() { copied(ema, Precision::F32, device) } else { ema.clone() };
            let weights = Weights { network: copied(network, *precision, device), ema, updates: updates.clone() };
            if self.settings.micro_batches > self.settings.devices {
                self.copies.keep(device, weights.clone());
            }
            weights
        });
        Cow::Owned(Self { weights, ..self.clone() })
    }

    /// The average on `device`.
    fn averaged_on(&self, device: &Device) -> N {
        if self.settings.shards.is_none() {
            return self.averaged();
        }
        // A step that validates has copies of its own, so that one average serves all batches.
        self.copies.of(device).map(|kept| kept.ema).unwrap_or_else(|| {
            let ema: N = copied(&self.averaged(), Precision::F32, device);
            self.copies.keep(device, Weights { ema: ema.clone(), ..self.weights.clone() });
            ema
        })
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.progress.run.lock()
    }

    /// Reports what went wrong; a loss that is not a number takes the place of the one that could not be computed.
    fn no_loss(&self, fault: Fault, data: &Tensor<D>) -> Tensor<1> {
        self.progress.run.report(fault);
        Tensor::full([data.dims()[0]], f32::NAN, &data.device())
    }

    /// Checks and clips the gradients.
    fn checked(&self, grads: GradientsParams) -> Verdict {
        // The one number of a step that the next one waits for: without it an update could be made that is not finite.
        let norm = gradients::read_norm(&self.weights.network, &grads).unwrap_or_else(|error| {
            self.progress.run.report(Fault::Device { step: self.step_count(), why: error.to_string() });
            None
        });
        if self.fault().is_some() {
            return Verdict::Halt;
        }
        let verdict = match norm {
            Some(norm) if !norm.is_finite() => self.not_finite(norm),
            norm => {
                self.shared().skips.in_a_row = 0;
                let (norm, max) = (norm.unwrap_or(0.0), self.settings.clip.unwrap_or(f64::INFINITY));
                Verdict::Update(gradients::clip_to(&self.weights.network, grads, norm, max))
            }
        };
        // What is kept with a checkpoint is the norm of a step that was counted.
        if norm.is_some() && !matches!(verdict, Verdict::Halt) {
            self.shared().gradient_norm = norm;
        }
        verdict
    }

    fn not_finite(&self, norm: f64) -> Verdict {
        let step = self.step_count();
        let batch = self.shared().keys.first().copied();
        let fault = Fault::NonFinite { step, norm, batch };
        let NonFinitePolicy::Skip { in_a_row: most } = self.settings.on_non_finite else {
            self.progress.run.report(fault);
            return Verdict::Halt;
        };
        let in_a_row = {
            let skips = &mut self.shared().skips;
            skips.in_a_row += 1;
            skips.total += 1;
            skips.in_a_row
        };
        crate::monitor::warn(&format!("{fault}; the training goes on, as its policy is to skip"));
        if in_a_row > most {
            self.progress.run.report(Fault::Skipped { step, in_a_row });
            return Verdict::Halt;
        }
        Verdict::Skip
    }

    /// The update of `grads`, which `step` makes of the network.
    fn update(self, grads: GradientsParams, step: impl FnOnce(N, GradientsParams) -> N) -> Self {
        match self.checked(grads) {
            Verdict::Halt => self,
            Verdict::Skip => self.counted(),
            Verdict::Update(grads) => {
                // The network is given away, so that who holds its parameters alone may write over them.
                let Self { weights: Weights { network, ema, updates }, settings, progress, copies } = self;
                copies.clear();
                let weights = Weights { network: step(network, grads), ema, updates };
                Self { weights, settings, progress, copies }.after_update()
            }
        }
    }

    /// The gradients of all devices, if they were kept here, else those that Burn has added up.
    fn gathered(&self, grads: GradientsParams) -> GradientsParams {
        if self.settings.devices > 1 { self.shared().contributions.sum(&self.weights.network) } else { grads }
    }

    /// One step more.
    fn counted(mut self) -> Self {
        self.weights.updates = self.weights.updates.map(|u| u.add_scalar(1));
        self.progress.count.next();
        let done = self.step_count();
        self.progress.run.set_done(done);
        self.shared().keys.clear();
        self
    }

    fn after_update(mut self) -> Self {
        let update = self.step_count();
        let decay = self.settings.ema.decay_at(update);
        self.weights.ema = ema::update(self.weights.ema, &self.weights.network, decay);
        let every = self.settings.distance_every;
        if every > 0 && (update + 1).is_multiple_of(every) {
            match ema::distance(self.ema(), self.network()).map(Tensor::try_into_data).transpose() {
                Ok(distance) => self.shared().ema_distance = distance.and_then(|d| d.iter::<f64>().next()),
                Err(error) => self.progress.run.report(Fault::Device { step: update, why: error.to_string() }),
            }
        }
        self.counted()
    }
}

impl<N, const D: usize> TrainStep for MixFlowTrainStep<N, D>
where
    N: PredictionNetwork<D> + ModuleDisplay + 'static,
{
    type Input = FlowBatch<D, N::Condition>;
    type Output = FlowOutput;

    fn step(&self, mut batch: Self::Input) -> TrainOutput<FlowOutput> {
        let step = self.step_count();
        let Settings { strategy, objective, condition_dropout, micro_batches, devices, seed, .. } = &self.settings;
        let now = self.settings.strategy_at(step);
        let strategy = now.as_ref().unwrap_or(strategy);
        let count = batch.data.dims()[0];
        let keys = batch.keys.take().unwrap_or_else(|| self.shared().unkeyed.next(*seed, step, count));
        let draws = Draws::with_noise(&keys, &batch.data, batch.noise.take(), strategy.as_ref())
            .with_interval(objective.interval)
            .with_dropout(&keys, *condition_dropout);
        self.shared().keys.extend_from_slice(&keys);
        let batch = batch.drawn(&keys);
        let data = batch.data.clone();
        let here = self.on(&data.device());
        let (loss, grads) = match here.loss_on_tape(batch, &draws, &keys) {
            Ok((loss, tape)) => {
                let mean = loss.clone().mean();
                let mean = if *micro_batches > 1 { mean.div_scalar(*micro_batches as f64) } else { mean };
                (loss, tape.backward(mean, here.network()))
            }
            Err(fault) => (self.no_loss(fault, &data), GradientsParams::new()),
        };
        let mut shared = self.shared();
        let (gradient_norm, ema_distance) = (shared.gradient_norm, shared.ema_distance);
        let grads = if *devices > 1 {
            let spread = self.settings.shards.is_some();
            shared.contributions.take(self.network(), keys.first(), grads, *devices, spread);
            GradientsParams::new()
        } else {
            grads
        };
        drop(shared);
        let item = FlowOutput { loss, timesteps: draws.timesteps, gradient_norm, ema_distance, step };
        TrainOutput { grads, item }
    }

    fn optimize(self, optim: &mut ModuleOptimizer, lr: ModuleLearningRate, grads: GradientsParams) -> Self {
        let grads = self.gathered(grads);
        self.update(grads, |network, grads| optim.step(lr, network, grads))
    }

    fn optimize_multi(self, optim: &mut ModuleOptimizer, lr: ModuleLearningRate, grads: MultiGradientsParams) -> Self {
        // Each shard holds a sum of its own: gathered here, checked and clipped as one gradient.
        let mut grads = grads.grads.into_iter();
        let Some((mut sum, device)) = grads.next() else { return self };
        for (more, _) in grads {
            sum = gradients::add(self.network(), sum, more);
        }
        let sum = self.gathered(sum);
        self.update(sum, |network, sum| {
            optim.step_multi(lr, network, MultiGradientsParams { grads: vec![(sum, device)] })
        })
    }
}

impl<N, const D: usize> InferenceStep for MixFlowTrainStep<N, D>
where
    N: PredictionNetwork<D> + ModuleDisplay + 'static,
{
    type Input = FlowBatch<D, N::Condition>;
    type Output = FlowOutput;

    fn step(&self, mut batch: Self::Input) -> FlowOutput {
        let keys = batch.keys.take().unwrap_or_else(|| content_keys(&batch.data, self.settings.seed));
        let objective = &self.settings.objective;
        let draws = Draws::of_validation(&keys, &batch.data, batch.noise.take()).with_interval(objective.interval);
        let FlowBatch { data, weight, condition, .. } = batch.drawn(&keys);
        let samples = Samples { data: data.clone(), weight, condition: &condition };
        // Without the auxiliary loss, so that curves compare between systems.
        let averaged = self.averaged_on(&data.device());
        let loss = match evaluate(&averaged, objective, samples, &draws, None) {
            Ok(Evaluated { loss, .. }) => loss,
            Err(fault) => self.no_loss(fault, &data),
        };
        FlowOutput {
            loss,
            timesteps: draws.timesteps,
            gradient_norm: None,
            ema_distance: None,
            step: self.step_count(),
        }
    }
}
