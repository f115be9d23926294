//! [`MixFlowTrainStep`]: a network, its EMA, and how it is trained, as one Burn module.
use super::fault::Guard;
use super::input::Shown;
use super::{
    AntiDriftConfig, Draws, EmaConfig, Fault, FlowBatch, FlowOutput, InputConfig, LossWeight, Objective, Precision,
    TargetTime, ema, gradients,
};
use crate::network::{Prediction, PredictionNetwork};
use crate::path::{Linear, PredictionKind, TrainingInterval, interpolate};
use crate::random::SampleKey;
use crate::timestep::{TimestepStrategy, Timesteps};
use crate::{Error, Result};
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleDisplay, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{Int, Tensor, TensorData};
use burn::train::{InferenceStep, Interrupter, TrainOutput, TrainStep};
use std::sync::{Arc, Mutex, OnceLock};

/// Trains a [`PredictionNetwork`] by flow matching with a [`TimestepStrategy`].
///
/// The raw network learns; the EMA validates and samples. Only the inner network is handed to the
/// optimizer, so its parameter paths are the user's own.
///
/// Load a record before the first step, as Burn does on resume: the saved count of updates is read from the
/// device once. With gradient accumulation let the batches of an epoch be a multiple of the micro-batches,
/// since Burn makes an update of what is left over at its end.
#[doc(alias = "TrainStep")]
#[doc(alias = "ValidStep")]
#[doc(alias = "LearnerBuilder")]
#[derive(Module, Debug)]
pub struct MixFlowTrainStep<N: Module, const D: usize> {
    network: N,
    ema: N,
    /// Optimizer steps done, saved with the weights.
    updates: Param<Tensor<1, Int>>,
    #[module(skip)]
    settings: Settings,
    #[module(skip)]
    progress: Progress,
}

#[derive(Debug, Clone)]
struct Settings {
    strategy: Arc<dyn TimestepStrategy>,
    objective: Objective,
    ema: EmaConfig,
    clip: Option<f64>,
    precision: Precision,
    condition_dropout: f64,
    input: Option<InputConfig>,
    anti_drift: Option<AntiDriftConfig>,
    micro_batches: usize,
    distance_every: u64,
    seed: u64,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// Updates done since this module was made or loaded; travels through clones and forks.
    since_load: u64,
    /// The saved counter, read back once after a load.
    at_load: Arc<OnceLock<u64>>,
    guard: Guard,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    gradient_norm: Option<f64>,
    ema_distance: Option<f64>,
    last_batch: Option<SampleKey>,
    /// The optimizer step and how many samples without keys it has seen.
    unkeyed: (u64, u64),
}

impl<N: PredictionNetwork<D> + ModuleDisplay, const D: usize> MixFlowTrainStep<N, D> {
    /// Wraps `network`, built on an autodiff device, with velocity prediction on the linear path,
    /// EMA decay 0.9999, no clipping and no condition dropout.
    pub fn new(network: N, strategy: Arc<dyn TimestepStrategy>) -> Self {
        let device = network.devices().into_iter().next().unwrap_or_default();
        Self {
            ema: ema::start(&network),
            network,
            updates: Param::initialized(ParamId::new(), Tensor::zeros([1], &device)),
            settings: Settings {
                strategy,
                objective: Objective {
                    path: Arc::new(Linear),
                    prediction: PredictionKind::Velocity,
                    target: TargetTime::Slowed,
                    weight: LossWeight::Uniform,
                    interval: TrainingInterval { start: 0.0, end: 1.0 },
                },
                ema: EmaConfig::default(),
                clip: None,
                precision: Precision::F32,
                condition_dropout: 0.0,
                input: None,
                anti_drift: None,
                micro_batches: 1,
                distance_every: 0,
                seed: 0,
            },
            progress: Progress::default(),
        }
    }

    /// Sets path, prediction, target and loss weight.
    pub fn with_objective(mut self, objective: Objective) -> Self {
        self.settings.objective = objective;
        self
    }

    /// Sets the EMA's decay.
    pub fn with_ema(mut self, ema: EmaConfig) -> Self {
        self.settings.ema = ema;
        self
    }

    /// Clips the global gradient norm to `norm`, after accumulation and before the update.
    pub fn with_clip(mut self, norm: Option<f64>) -> Self {
        self.settings.clip = norm;
        self
    }

    /// Sets the type of numbers that training computes in; validation and sampling compute in that of the weights.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.settings.precision = precision;
        self
    }

    /// Drops the condition of a training sample with this probability. A network without a null condition stops
    /// the run with [`Fault::NoNullCondition`] before its first update.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the probability is outside [0, 1].
    pub fn with_condition_dropout(mut self, probability: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::Invalid(format!("condition_dropout = {probability}: must be in [0, 1]")));
        }
        self.settings.condition_dropout = probability;
        Ok(self)
    }

    /// Changes what the network is shown in training; validation and [`loss`](Self::loss) see exact interpolations.
    pub fn with_input(mut self, input: Option<InputConfig>) -> Self {
        self.settings.input = input;
        self
    }

    /// Adds anti-drift to the training loss; for strategies with m = t on the linear path, which
    /// [`AntiDriftConfig::problems`] checks.
    pub fn with_anti_drift(mut self, anti_drift: Option<AntiDriftConfig>) -> Self {
        self.settings.anti_drift = anti_drift;
        self
    }

    /// How many batches make one update: devices × gradient accumulation. Burn adds their gradients;
    /// this divides, so that the update is that of one big batch.
    pub fn with_micro_batches(mut self, count: usize) -> Self {
        self.settings.micro_batches = count.max(1);
        self
    }

    /// Measures `‖ema − network‖₂` every so many updates; 0 never.
    pub fn with_ema_distance_every(mut self, updates: u64) -> Self {
        self.settings.distance_every = updates;
        self
    }

    /// The seed of the keys made for batches that come without.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Lets a [`Fault`] stop the run: give the interrupter that `SupervisedTraining` uses.
    pub fn with_interrupter(mut self, interrupter: Interrupter) -> Self {
        self.progress.guard.interrupter = Some(interrupter);
        self
    }

    /// The raw network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The averaged network: validate and sample with it.
    pub fn ema(&self) -> &N {
        &self.ema
    }

    /// Optimizer steps done, counted over resumed runs.
    pub fn updates(&self) -> u64 {
        self.updates.val().into_data().iter::<i64>().next().unwrap_or(0) as u64
    }

    /// [`updates`](Self::updates), read from the device only once: a record is loaded before the first step.
    fn step_count(&self) -> u64 {
        let since_load = self.progress.since_load;
        self.progress.at_load.get_or_init(|| self.updates().saturating_sub(since_load)) + since_load
    }

    /// What stopped training, if something did; no update is made after it.
    pub fn fault(&self) -> Option<Fault> {
        self.progress.guard.fault()
    }

    /// The training loss `[batch]` of the raw network for given draws, auxiliary loss included. The data are taken
    /// as they are: see [`FlowBatch::drawn`] for data with a deviation.
    pub fn loss(&self, batch: FlowBatch<D, N::Condition>, draws: &Draws<D>) -> Tensor<1> {
        self.loss_with(batch, draws, None)
    }

    /// As [`loss`](Self::loss); given the `keys` of the samples, with the input and the anti-drift of the settings.
    fn loss_with(&self, batch: FlowBatch<D, N::Condition>, draws: &Draws<D>, keys: Option<&[SampleKey]>) -> Tensor<1> {
        let condition = match draws.dropped.iter().any(|d| *d) {
            true => self.network.drop_condition(&batch.condition, &draws.dropped).unwrap_or_else(|| {
                self.progress.guard.report(Fault::NoNullCondition);
                batch.condition
            }),
            false => batch.condition,
        };
        let network = self.settings.precision.apply::<N, D>(&self.network);
        let Settings { objective, input, anti_drift, .. } = &self.settings;
        let given = |keys| (&condition, keys, draws.timesteps.as_slice());
        let shown = input
            .zip(keys)
            .map(|(input, keys)| input.show(&self.ema, objective, &batch.data, &draws.noise, given(keys)));
        let Evaluated { loss, auxiliary, at } =
            evaluate(&network, objective, batch.data.clone(), &condition, draws, shown);
        let loss = match anti_drift.zip(keys) {
            Some((anti_drift, keys)) => loss + anti_drift.loss(&network, objective, batch.data, at, given(keys)),
            None => loss,
        };
        match auxiliary {
            Some(auxiliary) => loss + auxiliary,
            None => loss,
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.progress.shared.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn training_keys(&self, keys: Option<Vec<SampleKey>>, count: usize, step: u64) -> Vec<SampleKey> {
        keys.unwrap_or_else(|| {
            let mut shared = self.shared();
            let first = if shared.unkeyed.0 == step { shared.unkeyed.1 } else { 0 };
            shared.unkeyed = (step, first + count as u64);
            let positions = first..first + count as u64;
            positions.map(|position| SampleKey { seed: self.settings.seed, epoch: step, position }).collect()
        })
    }

    /// Checks and clips the gradients; `None` if they are not finite, and the update must not be made.
    fn checked(&self, grads: GradientsParams) -> Option<GradientsParams> {
        let Some(norm) = gradients::global_norm(&self.network, &grads) else { return Some(grads) };
        let norm = norm.into_data().iter::<f64>().next().unwrap_or(f64::NAN);
        self.shared().gradient_norm = Some(norm);
        if self.fault().is_some() {
            return None;
        }
        if !norm.is_finite() {
            let batch = self.shared().last_batch;
            self.progress.guard.report(Fault::NonFinite { step: self.step_count(), norm, batch });
            return None;
        }
        let factor = self.settings.clip.map_or(1.0, |max| gradients::clip_factor(norm, max));
        Some(if factor < 1.0 { gradients::scale(&self.network, grads, factor) } else { grads })
    }

    fn after_update(mut self, network: N) -> Self {
        let update = self.step_count();
        let decay = self.settings.ema.decay_at(update);
        self.ema = ema::update(self.ema, &network, decay);
        self.network = network;
        self.updates = self.updates.map(|u| u.add_scalar(1));
        self.progress.since_load += 1;
        let every = self.settings.distance_every;
        if every > 0 && (update + 1).is_multiple_of(every) {
            let distance = ema::distance(&self.ema, &self.network).map(|d| d.into_data().iter::<f64>().next());
            self.shared().ema_distance = distance.flatten();
        }
        self
    }
}

/// One pass of a network over a batch.
struct Evaluated<const D: usize> {
    /// The regression losses `[batch]`.
    loss: Tensor<1>,
    /// The network's auxiliary loss `[1]`.
    auxiliary: Option<Tensor<1>>,
    /// The network's input and output.
    at: (Tensor<D>, Tensor<D>),
}

fn evaluate<N: PredictionNetwork<D>, const D: usize>(
    network: &N,
    objective: &Objective,
    data: Tensor<D>,
    condition: &N::Condition,
    draws: &Draws<D>,
    shown: Option<Shown<D>>,
) -> Evaluated<D> {
    let slowed: Vec<f32> = draws.timesteps.iter().map(|t| t.slowed).collect();
    let training: Vec<f32> = draws.timesteps.iter().map(|t| t.training).collect();
    let count = training.len();
    let told = Tensor::from_data(TensorData::new(training, [count]), &data.device());
    let Shown { noisy, noise } = shown.unwrap_or_else(|| {
        let noise = draws.noise.clone();
        Shown { noisy: interpolate(objective.path.as_ref(), data.clone(), noise.clone(), &slowed), noise }
    });
    let Prediction { output, auxiliary_loss } = network.predict(noisy.clone(), told, condition);
    let loss = objective.loss(output.clone(), data, noise, &draws.timesteps);
    Evaluated { loss, auxiliary: auxiliary_loss, at: (noisy, output) }
}

/// Plain flow matching: `t ~ U`, `m = t`.
#[derive(Debug)]
struct Plain;

impl TimestepStrategy for Plain {
    fn sample(&self, rng: &mut dyn rand::Rng) -> Timesteps {
        let t = rand::RngExt::random::<f32>(rng);
        Timesteps { training: t, slowed: t }
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
        let shape = batch.data.dims();
        let keys = self.training_keys(batch.keys.take(), shape[0], step);
        let Settings { strategy, objective, condition_dropout, micro_batches, .. } = &self.settings;
        let device = batch.data.device();
        let draws = Draws::new(&keys, shape, strategy.as_ref(), objective.interval, *condition_dropout, &device);
        self.shared().last_batch = keys.first().copied();
        let loss = self.loss_with(batch.drawn(&keys), &draws, Some(&keys));
        let mean = loss.clone().mean();
        let mean = if *micro_batches > 1 { mean.div_scalar(*micro_batches as f64) } else { mean };
        let mut grads = mean.backward();
        let grads = GradientsParams::from_module(&mut grads, &self.network);
        let shared = self.shared();
        let (gradient_norm, ema_distance) = (shared.gradient_norm, shared.ema_distance);
        let item = FlowOutput { loss, timesteps: draws.timesteps, gradient_norm, ema_distance, step };
        TrainOutput { grads, item }
    }

    fn optimize(self, optim: &mut ModuleOptimizer, lr: ModuleLearningRate, grads: GradientsParams) -> Self {
        let Some(grads) = self.checked(grads) else { return self };
        let network = optim.step(lr, self.network.clone(), grads);
        self.after_update(network)
    }

    fn optimize_multi(self, optim: &mut ModuleOptimizer, lr: ModuleLearningRate, grads: MultiGradientsParams) -> Self {
        // Each shard holds a sum of its own: gathered here, checked and clipped as one gradient.
        let mut grads = grads.grads.into_iter();
        let Some((mut sum, device)) = grads.next() else { return self };
        for (more, _) in grads {
            sum = gradients::add(&self.network, sum, more);
        }
        let Some(sum) = self.checked(sum) else { return self };
        let network = optim.step_multi(lr, self.network.clone(), MultiGradientsParams { grads: vec![(sum, device)] });
        self.after_update(network)
    }
}

impl<N, const D: usize> InferenceStep for MixFlowTrainStep<N, D>
where
    N: PredictionNetwork<D> + ModuleDisplay + 'static,
{
    type Input = FlowBatch<D, N::Condition>;
    type Output = FlowOutput;

    fn step(&self, mut batch: Self::Input) -> FlowOutput {
        let shape = batch.data.dims();
        let keys = batch.keys.take().unwrap_or_else(|| content_keys(&batch.data, self.settings.seed));
        let objective = &self.settings.objective;
        let draws = Draws::new(&keys, shape, &Plain, objective.interval, 0.0, &batch.data.device());
        let FlowBatch { data, condition, .. } = batch.drawn(&keys);
        // Without the auxiliary loss, so that curves compare between systems.
        let Evaluated { loss, .. } = evaluate(&self.ema, objective, data, &condition, &draws, None);
        FlowOutput {
            loss,
            timesteps: draws.timesteps,
            gradient_norm: None,
            ema_distance: None,
            step: self.step_count(),
        }
    }
}

/// Keys from the bits of each sample: the same sample is validated at the same timestep every epoch.
fn content_keys<const D: usize>(data: &Tensor<D>, seed: u64) -> Vec<SampleKey> {
    let count = data.dims()[0];
    let values: Vec<f32> = data.to_data().iter::<f32>().collect();
    let size = (values.len() / count.max(1)).max(1);
    let mix = |hash: u64, v: &f32| (hash ^ u64::from(v.to_bits())).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    let key = |sample: &[f32]| SampleKey { seed, epoch: 0, position: sample.iter().fold(0xCBF2_9CE4_8422_2325, mix) };
    values.chunks(size).map(key).collect()
}
