//! One process's part of a stage, run by Burn's `SupervisedTraining`.
use super::cut_renderer::CutRenderer;
use super::fault_report::FaultReport;
use super::less_memory;
use super::save_cuts::{EndOfCuts, EndedEarly, SaveCuts};
use super::stage::{Stage, Trained};
use crate::adapter::base_digest;
use crate::checkpoint::{Accepted, CHECKPOINTS, CheckpointSets, History, Identity, LoadedSet, Rollback, architecture};
use crate::monitor::{MetricFiles, StepLogger, TensorBoard, WarningsKept, is_dashboard, renderer};
use crate::network::PredictionNetwork;
use crate::post_train::StageConfig;
use crate::train::{
    Cuts, EpochLoader, Fault, FlowBatch, MixFlowTrainStep, NonFinitePolicy, Objective, Remembered, RunState, Segments,
    Sharding, Skips, TrainStepBuilder, metrics,
};
use crate::{Error, Result, device_memory, digest};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::{Module, ModuleDisplay};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::checkpoint::CheckpointerError;
use burn::train::metric::{LearningRateMetric, LossMetric};
use burn::train::{
    ExecutionStrategy, Interrupter, Learner, LearningResult, MultiDeviceOptim, SupervisedTraining, TrainingError,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The same for every seed, so that the validation losses of all runs compare.
const VALIDATION_SEED: u64 = 0x6D69_7866_6C6F_7721;

/// More of Burn's epochs than any training has cuts.
const ENDLESS: usize = usize::MAX / 4;

/// From where a stage begins or goes on to where this process leaves it.
pub(super) struct Sitting<'a> {
    pub stage: &'a Stage<'a>,
    /// Returns so far, the newest last; those of the newest set if that has more.
    pub rollbacks: Vec<Rollback>,
}

/// How a sitting ended, if without an error.
pub(super) enum Ended<N> {
    /// At the step that was asked for.
    Trained(Box<Trained<N>>),
    /// At numbers that were not finite: the stage is to go on from an earlier set. All returns so far, this one the newest.
    Rollback(Vec<Rollback>),
}

/// A step, optimizer and step count to begin with.
struct Begun<N: Module, const D: usize> {
    step: MixFlowTrainStep<N, D>,
    optimizer: ModuleOptimizer,
    reached: usize,
    history: History,
    /// What has changed, and was accepted.
    accepted: Vec<String>,
}

impl Sitting<'_> {
    pub fn run<I, N, const D: usize>(
        &self,
        network: N,
        train: Arc<dyn Dataset<I>>,
        held_out: Arc<dyn Dataset<I>>,
        batcher: impl Batcher<I, FlowBatch<D, N::Condition>> + Clone + 'static,
    ) -> Result<Ended<N>>
    where
        I: Send + Sync + 'static,
        N: PredictionNetwork<D> + ModuleDisplay + 'static,
    {
        let Stage { config, folder, devices, stop, label, .. } = self.stage;
        let run = RunState::default();
        let step = self.step(network)?.with_run(run.clone()).build()?;
        let identity = self.identity(&step, [train.len(), held_out.len()])?;
        let sets = CheckpointSets::of_training(&folder.join(CHECKPOINTS), identity, config.checkpoints.keep)?;
        let Begun { step, optimizer, reached, mut history, accepted } = self.begun(step, &sets)?;
        if self.stage.goes_on && reached == 0 {
            let message = "its checkpoints were there when it began, and are no longer: begin again".into();
            return Err(Error::Training(message));
        }
        if !accepted.is_empty() {
            let list = accepted.join("; ");
            crate::monitor::warn(&format!(
                "{label}: from step {reached} on with what has changed, as accepted: {list}"
            ));
            history.accepted.push(Accepted { step: reached, differences: accepted });
            if reached < config.steps {
                // Known from here on, though this process may end before its first save.
                sets.adopt(reached, history.clone())?;
            }
        }
        if self.rollbacks.len() > history.rollbacks.len() {
            history.rollbacks.clone_from(&self.rollbacks);
        }
        self.note_devices(&mut history, reached);
        run.set_done(reached as u64);
        run.remember(remembered(&history));

        let last = self.stage.until.map_or(config.steps, |until| until.min(config.steps));
        let ended_early = EndedEarly::default();
        let early = config.early_stopping;
        if early.is_some_and(|early| early.is_due(history.best, reached, config.steps_per_epoch)) {
            ended_early.set();
        }
        let board = self.board(reached)?;
        let boundary = reached > 0 && reached.is_multiple_of(config.steps_per_epoch);
        let owes_validation = boundary && history.validation.is_none();
        if (reached >= last && !owes_validation) || ended_early.get() {
            let finished = reached >= config.steps || ended_early.get();
            return Ok(trained(&step.valid(), Duration::ZERO, 0, finished, board));
        }

        let cuts = Cuts {
            first: reached,
            last,
            validate_every: config.steps_per_epoch,
            save_every: config.checkpoints.every_steps,
            save_after: config.checkpoints.save_after(),
            owes_validation,
        };
        let dashboard = Interrupter::new();
        let segments = Segments::new(cuts, run.clone(), stop.clone(), dashboard.clone());
        let batch = config.batch_size / self.parts();
        let seed = salted(self.stage.seed, history.rollbacks.len());
        let device = &devices[0];
        let training = EpochLoader::training(train, batcher.clone(), &device.clone().autodiff())
            .with_batch_size(batch)
            .with_seed(seed)
            .with_batches_per_epoch(config.steps_per_epoch * config.accumulation)
            .with_batches_per_step(config.accumulation)
            .with_segments(segments.clone(), reached)
            .build()?;
        let training = Arc::new(training);
        let valid = EpochLoader::validation(held_out, batcher.clone(), device).with_batch_size(batch);
        let valid = valid.with_seed(VALIDATION_SEED).with_segments(segments.clone(), reached).build()?;

        let saves = SaveCuts {
            segments: segments.clone(),
            sets: sets.clone(),
            run: run.clone(),
            policy: config.on_non_finite,
            early_stopping: early,
            before: history.clone(),
            history: history.clone(),
            began: Instant::now(),
            ended_early: ended_early.clone(),
        };
        let on_cpu = devices.iter().all(|device| *device == Device::flex());
        let unread = (!on_cpu).then(|| sets.clone());
        let ends = EndOfCuts { segments: segments.clone(), ended_early: ended_early.clone(), unread };
        let warnings = is_dashboard().then(WarningsKept::new);
        let epochs = config.steps / config.steps_per_epoch;
        let epochs_before = Some(reached / config.steps_per_epoch).filter(|epochs| *epochs > 0);
        let inner = renderer(label, dashboard, epochs_before);
        let shown = CutRenderer { inner, segments: segments.clone(), epochs, unseen: None };
        let interrupter = Interrupter::new();
        let (model, optim, scheduler) = sets.parts();
        let mut runner = self
            .metered(SupervisedTraining::new(folder, training.clone(), Arc::new(valid)), &board)
            .with_metric_logger(self.logger(&board, reached).unless({
                let run = run.clone();
                move || run.fault().is_some()
            }))
            .with_custom_checkpointers(model, optim, scheduler)
            .with_checkpointing_strategy(saves)
            .early_stopping(ends)
            .with_interrupter(interrupter)
            .with_application_logger(None)
            .renderer(Box::new(shown))
            .num_epochs(ENDLESS);
        if config.accumulation > 1 {
            runner = runner.grads_accumulation(config.accumulation);
        }
        if devices.len() > 1 {
            let devices = devices.iter().map(|d| d.clone().autodiff()).collect();
            let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
            runner = runner.with_training_strategy(strategy.into());
        }
        let mut schedule = config.schedule.build(config.optimizer.learning_rate, config.steps);
        schedule.skip(reached);
        let started = Instant::now();
        // A fault of the training has its own words, and its host may be slow to say that it is there.
        let may_be_lost = |has_error: bool| match run.fault() {
            Some(Fault::Device { .. }) => true,
            Some(_) => false,
            None => has_error && sets.not_finite().is_none(),
        };
        let less = || less_memory::advice(config, devices.len());
        let launch = || runner.launch(Learner::new(step, optimizer, schedule));
        let result = device_memory::guarded(less, || launched(launch, may_be_lost)).map_err(|failed| {
            Error::Training(format!("{failed}{}", after(sets.newest_complete().unwrap_or(reached))))
        })?;
        let time = started.elapsed();
        board.flush();
        drop(result.renderer);
        drop(warnings);

        let done = usize::try_from(run.done()).unwrap_or(usize::MAX);
        let saved = sets.newest_complete().unwrap_or(reached);
        FaultReport::forget_before(folder, saved);
        if let Some(found) = sets.not_finite() {
            if let Some(rollback) = self.rollback(&history, found.number, saved) {
                return Ok(rollback);
            }
            return Err(Error::Training(format!(
                "the weights are not finite after step {}: `{}` of the checkpoint holds a NaN or an infinity, so that it was \
                 not kept; a smaller learning rate or `optimizer.clip` may help{}",
                found.number,
                found.tensor,
                after(saved)
            )));
        }
        if let Some(fault) = run.fault() {
            return self.faulted(&fault, &run, &training, &history, (done, saved));
        }
        if let Some(error) = result.error {
            let text = words(&error);
            let text = device_memory::reason(&text).map_or(text, |reason| format!("{reason}: {}", less()));
            return Err(Error::Training(text + &after(saved)));
        }
        if done < last && !ended_early.get() {
            let reason = stop.reason().ok_or_else(|| {
                Error::Training(format!("it ended at step {done} of {last} for no known reason{}", after(saved)))
            })?;
            let at = match saved {
                0 => "before its first step".into(),
                saved => format!("with step {saved} of {} saved", config.steps),
            };
            return Err(Error::Stopped { what: label.clone(), reason, at });
        }
        if saved != done {
            return Err(Error::Training(format!("step {done} was reached, but not saved{}", after(saved))));
        }
        let finished = done >= config.steps || ended_early.get();
        Ok(trained(&result.model, time, done - reached, finished, board))
    }

    /// The training step with the weights of the newest set, which must be that of `step`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is of another step.
    pub fn step_at<N, const D: usize>(
        &self,
        network: N,
        items: [usize; 2],
        step: usize,
    ) -> Result<MixFlowTrainStep<N, D>>
    where
        N: PredictionNetwork<D> + ModuleDisplay,
    {
        let Stage { folder, .. } = self.stage;
        let built = self.step(network)?.build()?;
        let identity = self.identity(&built, items)?;
        let sets = CheckpointSets::to_read(&folder.join(CHECKPOINTS), identity);
        let Begun { step: begun, reached, .. } = self.begun(built, &sets)?;
        match reached == step {
            true => Ok(begun),
            false => Err(Error::Invalid(format!(
                "{}: step {step} failed, but the newest checkpoint is of step {reached}: the weights that it failed with are \
                 gone",
                folder.display()
            ))),
        }
    }

    /// A return to the newest set, if the policy allows one more.
    fn rollback<N>(&self, history: &History, from: usize, to: usize) -> Option<Ended<N>> {
        let NonFinitePolicy::Rollback { times } = self.stage.config.on_non_finite else { return None };
        let mut rollbacks = history.rollbacks.clone();
        rollbacks.push(Rollback { from, to });
        (rollbacks.len() as u64 <= times).then_some(Ended::Rollback(rollbacks))
    }

    /// The batches that make one step: devices × accumulated passes.
    fn parts(&self) -> usize {
        self.stage.devices.len() * self.stage.config.accumulation
    }

    /// What a fault leads to.
    fn faulted<I, N, const D: usize, C>(
        &self,
        fault: &Fault,
        run: &RunState,
        loader: &EpochLoader<I, D, C>,
        history: &History,
        (done, saved): (usize, usize),
    ) -> Result<Ended<N>>
    where
        I: Send + Sync + 'static,
        N: Module,
        C: Send + 'static,
    {
        let Stage { config, folder, item_name, .. } = self.stage;
        let mut text = fault.to_string();
        if let Fault::Device { step, why } = fault
            && let Some(reason) = device_memory::reason(why)
        {
            text =
                format!("{reason} at optimizer step {step}: {}", less_memory::advice(config, self.stage.devices.len()));
        }
        if matches!(fault, Fault::NonFinite { .. } | Fault::Skipped { .. }) {
            if let Some(rollback) = self.rollback(history, done, saved) {
                return Ok(rollback);
            }
            if matches!(config.on_non_finite, NonFinitePolicy::Rollback { .. }) {
                let returns = history.rollbacks.len();
                text += &format!("; after {returns} returns to an earlier checkpoint, more are not allowed");
            }
            let keys = run.keys();
            let items = loader.items_of(&keys);
            let names = items.iter().filter_map(|item| Some(item_name.as_ref()?(*item))).collect();
            let report = FaultReport {
                step: done,
                why: fault.to_string(),
                keys: keys.into_iter().map(Into::into).collect(),
                items,
                names,
            };
            text += &report.keep(folder);
        }
        Err(Error::Training(text + &after(saved)))
    }

    /// The step, the optimizer and the history of the newest set; those of a new training if there is none.
    fn begun<N, const D: usize>(&self, step: MixFlowTrainStep<N, D>, sets: &CheckpointSets) -> Result<Begun<N, D>>
    where
        N: PredictionNetwork<D> + ModuleDisplay,
    {
        let config = self.stage.config;
        let optimizer = config.optimizer.build();
        let allowed = |number: usize, there: &Identity, mut differences: Vec<String>| {
            if let Some(at) = differences.iter().position(|difference| difference.starts_with("steps: ")) {
                match config.steps >= number && same_so_far(&there.configuration, config, number) {
                    true => drop(differences.remove(at)),
                    false if config.steps < number => differences[at] += &format!(", but step {number} is reached"),
                    false => differences[at] += ", which would have given other learning rates or another γ up to here",
                }
            }
            differences.retain(|difference| !self.is_accepted(difference));
            differences
        };
        let loaded = sets.load_latest(|manifest, differences| match &manifest.identity {
            Some(identity) => allowed(manifest.number, identity, differences),
            None => differences,
        })?;
        let Some(LoadedSet { number, history, differences, model, optimizer: state }) = loaded else {
            return Ok(Begun { step, optimizer, reached: 0, history: History::default(), accepted: Vec::new() });
        };
        let accepted = differences.into_iter().filter(|text| self.is_accepted(text)).collect();
        let path = sets.part_path(number, "model");
        let wrong = |e: &dyn std::fmt::Display| Error::format(&path, e.to_string());
        let record = ModuleRecord::from_bytes(model).map_err(|e| wrong(&e))?;
        let step = step.try_load_record(record).map_err(|e| wrong(&e))?;
        let updates = step.updates();
        if updates != number as u64 {
            return Err(wrong(&format!("holds the weights of step {updates}, but its set is of step {number}")));
        }
        let state = OptimizerRecord::from_bytes(state).map_err(|e| wrong(&e))?;
        Ok(Begun { step, optimizer: optimizer.load_record(state), reached: number, history, accepted })
    }

    /// Notes the devices of this sitting, and says so if those before were others.
    fn note_devices(&self, history: &mut History, reached: usize) {
        let now: Vec<String> = self.stage.devices.iter().map(name_of).collect();
        if !history.devices.is_empty() && history.devices != now {
            let (label, before, now) = (&self.stage.label, history.devices.join(", "), now.join(", "));
            crate::monitor::warn(&format!(
                "{label}: trained on {before} up to step {reached}, on {now} from there: the same up to rounding, not to the bit"
            ));
        }
        history.devices = now;
    }

    /// Whether a difference is in something that may have changed.
    fn is_accepted(&self, difference: &str) -> bool {
        let of =
            |name: &String| difference.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([':', '.']));
        self.stage.accepted.iter().any(of)
    }

    /// What the checkpoints of this stage belong to.
    fn identity<N, const D: usize>(&self, step: &MixFlowTrainStep<N, D>, items: [usize; 2]) -> Result<Identity>
    where
        N: PredictionNetwork<D> + ModuleDisplay,
    {
        let Stage { config, objective, seed, made_of, .. } = self.stage;
        let mut configuration = serde_json::to_value(config).map_err(|e| Error::Invalid(format!("the stage: {e}")))?;
        if let Some(keys) = configuration.as_object_mut() {
            StageConfig::WITHOUT_EFFECT.iter().for_each(|key| drop(keys.remove(*key)));
        }
        let mut made_of = made_of.clone();
        made_of.insert("objective".into(), format!("{objective:?}").into());
        made_of.insert("seed of the draws".into(), (*seed).into());
        made_of.insert("training items".into(), items[0].into());
        made_of.insert("held-out items".into(), items[1].into());
        let recorded = step.recorded();
        if recorded.is_some() {
            made_of.insert("the weights under the adapter".into(), base_digest(step.network()).into());
        }
        Ok(Identity { configuration, network: architecture(step, recorded), made_of })
    }

    fn step<N, const D: usize>(&self, network: N) -> Result<TrainStepBuilder<N, D>>
    where
        N: PredictionNetwork<D> + ModuleDisplay,
    {
        let Stage { config, objective, seed, devices, .. } = self.stage;
        let objective = Objective { target: config.target, ..objective.clone() };
        let step = MixFlowTrainStep::builder(network, config.strategy.build(config.time_shift.as_ref())?)
            .with_steps(config.steps as u64)
            .with_objective(objective)
            .with_ema(config.ema)
            .with_precision(config.precision)
            .with_checkpointing(config.checkpointing)
            .with_condition_dropout(config.condition_dropout)
            .with_micro_batches(self.parts())
            .with_devices(devices.len())
            .with_non_finite(config.on_non_finite)
            .with_ema_distance_every(self.measured_every())
            .with_seed(*seed);
        let step = config.optimizer.clip.into_iter().fold(step, TrainStepBuilder::with_clip);
        let step = config.adapter.clone().into_iter().fold(step, TrainStepBuilder::with_adapter);
        let step = config.input.into_iter().fold(step, TrainStepBuilder::with_input);
        let step = match config.sharding {
            Sharding::Optimizer if devices.len() > 1 => step.with_shards(devices),
            _ => step,
        };
        let step = config.magnitude.into_iter().fold(step, TrainStepBuilder::with_magnitude);
        Ok(config.anti_drift.into_iter().fold(step, TrainStepBuilder::with_anti_drift))
    }

    fn metered<N, const D: usize>(
        &self,
        mut training: SupervisedTraining<MixFlowTrainStep<N, D>>,
        board: &TensorBoard,
    ) -> SupervisedTraining<MixFlowTrainStep<N, D>>
    where
        N: PredictionNetwork<D> + ModuleDisplay + 'static,
    {
        let parts = self.parts();
        training = training
            .metrics((LossMetric::new(), metrics::step()))
            .metric_train_numeric(LearningRateMetric::new())
            .metric_train_numeric(metrics::mean_t())
            .metric_train_numeric(metrics::mean_slowing())
            .metric_train_numeric(metrics::gradient_norm())
            .metric_train_numeric(metrics::ema_distance())
            .metric_train_numeric(metrics::samples_per_second())
            .metric_train_numeric(metrics::slowing_histogram_of(board.clone(), self.measured_every(), parts));
        for gauge in metrics::loss_by_t(4) {
            training = training.metric_train_numeric(gauge);
        }
        training
    }

    /// Fifty rows from one validation to the next, so that a long training does not fill the disk with them.
    fn logger(&self, board: &TensorBoard, reached: usize) -> StepLogger {
        let files = MetricFiles::new(self.stage.folder.join("metrics"), reached as i64);
        let every = (self.stage.config.steps_per_epoch / 50).max(1);
        let parts = self.parts();
        StepLogger::new(vec![Box::new(files), Box::new(board.clone())], reached as i64, every, parts)
    }

    /// Updates between measurements that cost something.
    fn measured_every(&self) -> u64 {
        (self.stage.config.steps_per_epoch as u64 / 10).max(1)
    }

    /// TensorBoard from the first step that will run: what an interrupted run drew after it goes.
    fn board(&self, first_step: usize) -> Result<TensorBoard> {
        let first_step = first_step as i64;
        let board = TensorBoard::create(&self.stage.folder.join("tensorboard"), first_step);
        let json =
            serde_json::to_string_pretty(self.stage.config).map_err(|e| Error::Invalid(format!("the stage: {e}")))?;
        board.text("stage", &format!("```json\n{json}\n```"), first_step);
        self.stage.texts.iter().for_each(|text| board.text(&text.tag, &text.markdown, first_step));
        Ok(board)
    }
}

fn trained<N, const D: usize>(
    step: &MixFlowTrainStep<N, D>,
    time: Duration,
    steps: usize,
    finished: bool,
    board: TensorBoard,
) -> Ended<N>
where
    N: PredictionNetwork<D> + ModuleDisplay,
{
    let reached = usize::try_from(step.updates()).unwrap_or(usize::MAX);
    let (ema, raw) = (step.ema().clone(), step.network().clone());
    Ended::Trained(Box::new(Trained { ema, raw, time, steps, reached, finished, board }))
}

/// How messages name a device.
fn name_of(device: &Device) -> String {
    #[cfg(feature = "remote")]
    if let Some(name) = crate::remote::name_of(device) {
        return name;
    }
    format!("{device:?}").trim_start_matches("Device<").trim_end_matches('>').to_string()
}

/// What a training came to. `may_be_lost` says whether a host may have vanished, given whether Burn has an error.
///
/// # Errors
/// That a host has vanished. Its devices must not be asked for anything then, the weights on them included.
#[cfg(feature = "remote")]
fn launched<M>(
    launch: impl FnOnce() -> LearningResult<M>,
    may_be_lost: impl Fn(bool) -> bool,
) -> Result<LearningResult<M>> {
    crate::remote::guarded(|| {
        let result = launch();
        match may_be_lost(result.error.is_some()).then(crate::remote::lost).flatten() {
            Some(lost) => Err(lost),
            None => Ok(result),
        }
    })
}

#[cfg(not(feature = "remote"))]
fn launched<M>(launch: impl FnOnce() -> LearningResult<M>, _: impl Fn(bool) -> bool) -> Result<LearningResult<M>> {
    Ok(launch())
}

/// An error of Burn's, in the words of whoever made it.
fn words(error: &TrainingError) -> String {
    match error {
        TrainingError::Checkpoint(CheckpointerError::Unknown(text)) => text.clone(),
        other => other.to_string(),
    }
}

/// What is said of the newest checkpoint in an error.
fn after(saved: usize) -> String {
    match saved {
        0 => "; there is no checkpoint yet".into(),
        step => format!("; the newest checkpoint is of step {step}"),
    }
}

fn remembered(history: &History) -> Remembered {
    let History { gradient_norm, ema_distance, skipped, skipped_in_a_row, .. } = *history;
    Remembered { gradient_norm, ema_distance, skips: Skips { total: skipped, in_a_row: skipped_in_a_row } }
}

/// Whether another configuration has had the same learning rates and strategy up to a step, so that only its number of steps
/// differs.
fn same_so_far(there: &Value, here: &StageConfig, reached: usize) -> bool {
    let Ok(there) = StageConfig::deserialize(there) else { return false };
    let rate = |config: &StageConfig, step| config.schedule.rate(config.optimizer.learning_rate, step, config.steps);
    let strategy = reached == 0 || !here.strategy.changes_over_training();
    strategy && (0..reached).all(|step| rate(&there, step) == rate(here, step))
}

/// The seed of a stage's draws after so many returns to an earlier set.
fn salted(seed: u64, rollbacks: usize) -> u64 {
    if rollbacks == 0 {
        return seed;
    }
    digest::seed(Sha256::digest(format!("{seed} after {rollbacks}")))
}
