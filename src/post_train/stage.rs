//! One training stage, run by Burn's `SupervisedTraining`.
use crate::checkpoint::{CHECKPOINTS, CheckpointSets};
use crate::monitor::{TensorBoard, TensorBoardLogger, renderer};
use crate::network::PredictionNetwork;
use crate::path::is_linear;
use crate::post_train::StageConfig;
use crate::train::{EpochLoader, FlowBatch, MixFlowTrainStep, Objective, TrainStepBuilder, metrics};
use crate::{Error, Problem, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::ModuleDisplay;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::FileMetricLogger;
use burn::train::metric::{LearningRateMetric, LossMetric};
use burn::train::{ExecutionStrategy, Interrupter, Learner, MultiDeviceOptim, SupervisedTraining};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One stage of training: data, metrics, checkpoints and resume in one call of [`run`](Self::run).
///
/// Everything it writes goes below its folder: `checkpoints/`, `tensorboard/` and the metric files. A stage whose folder
/// holds a complete checkpoint goes on there. What is not set: [`Objective::default`], the seed of the configuration, the
/// CPU, and the label `train`.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    config: &'a StageConfig,
    folder: PathBuf,
    objective: Objective,
    seed: u64,
    devices: Vec<Device>,
    label: String,
    until_epoch: Option<usize>,
    texts: Vec<Text>,
}

/// A text for TensorBoard.
#[derive(Debug, Clone)]
struct Text {
    tag: String,
    markdown: String,
}

/// What a stage made.
#[derive(Debug)]
pub struct Trained<N> {
    /// The averaged weights: what to sample with, and what the papers publish. Without autodiff.
    pub ema: N,
    /// The weights the optimizer moved. Without autodiff.
    pub raw: N,
    /// The time of the steps this process ran.
    pub time: Duration,
    /// The steps this process ran.
    pub steps: usize,
    /// Whether the stage has reached its last step.
    pub finished: bool,
    /// Where its metrics were drawn: add pictures of samples here, at the last step of the configuration.
    pub board: TensorBoard,
}

impl<'a> Stage<'a> {
    /// A stage that writes below `folder`.
    pub fn new(config: &'a StageConfig, folder: impl Into<PathBuf>) -> Self {
        Self {
            config,
            folder: folder.into(),
            objective: Objective::default(),
            seed: config.seed,
            devices: vec![Device::flex()],
            label: "train".into(),
            until_epoch: None,
            texts: Vec::new(),
        }
    }

    /// What predictions are compared with; the time of the target is that of the configuration.
    pub fn objective(self, objective: Objective) -> Self {
        Self { objective, ..self }
    }

    /// The seed of all draws of the stage.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Where it runs, without autodiff; at least one. Several share each batch.
    pub fn devices(self, devices: &[Device]) -> Self {
        Self { devices: devices.to_vec(), ..self }
    }

    /// How its progress lines begin.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Stops after this epoch, to go on another day; the learning rate still follows all steps.
    pub fn until_epoch(self, epoch: usize) -> Self {
        Self { until_epoch: Some(epoch), ..self }
    }

    /// Shows a Markdown text in TensorBoard beside the stage's own configuration.
    pub fn text(mut self, tag: impl Into<String>, markdown: impl Into<String>) -> Self {
        self.texts.push(Text { tag: tag.into(), markdown: markdown.into() });
        self
    }

    /// Everything that keeps the stage from running, with keys of its configuration.
    fn problems(&self) -> Vec<Problem> {
        let Self { config, devices, .. } = self;
        let mut problems = config.problems_on("", is_linear(self.objective.path.as_ref()));
        Problem::unless(&mut problems, !devices.is_empty(), "", "devices", devices.len(), "must be at least one");
        let (size, count, times) = (config.batch_size, devices.len(), config.accumulation);
        let divides = count * times == 0 || size.is_multiple_of(count * times);
        let must = format!("must divide over {count} device(s) × {times} accumulated");
        Problem::unless(&mut problems, divides, "", "batch_size", size, must);
        problems
    }

    /// Trains `network`, built on the first device with autodiff, or goes on from the newest checkpoint.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem of the configuration, a batch that does not divide over devices and accumulation
    /// or is larger than the data set among them; [`Error::Io`] if the folder cannot be written; [`Error::Training`] if
    /// training stops before its end.
    pub fn run<I, N, const D: usize>(
        &self,
        network: N,
        train: impl Dataset<I> + 'static,
        held_out: impl Dataset<I> + 'static,
        batcher: impl Batcher<I, FlowBatch<D, N::Condition>> + Clone + 'static,
    ) -> Result<Trained<N>>
    where
        I: Send + Sync + 'static,
        N: PredictionNetwork<D> + ModuleDisplay + 'static,
    {
        Error::if_any(self.problems())?;
        let Self { config, folder, devices, .. } = self;
        let device = &devices[0];
        let micro_batches = devices.len() * config.accumulation;
        let batch = config.batch_size / micro_batches;
        let sets = CheckpointSets::open(folder.join(CHECKPOINTS))?;
        let finished = sets.latest()?.unwrap_or(0);
        let train = EpochLoader::training(train, batcher.clone(), &device.clone().autodiff())
            .with_batch_size(batch)
            .with_seed(self.seed)
            .with_finished_epochs(finished)
            .with_batches_per_epoch(config.steps_per_epoch * config.accumulation)
            .with_batches_per_step(config.accumulation)
            .build()?;
        // The same for every seed, so that the validation losses of all runs compare.
        let valid = EpochLoader::validation(held_out, batcher, device);
        let valid = valid.with_batch_size(batch).with_seed(VALIDATION_SEED).build()?;
        let interrupter = Interrupter::new();
        let step = self.step(network, micro_batches)?.with_interrupter(interrupter.clone()).build()?;
        let board = self.board(finished * config.steps_per_epoch)?;

        let (model, optimizer, scheduler) = sets.parts();
        let all = config.steps / config.steps_per_epoch;
        let epochs = self.until_epoch.map_or(all, |last| last.min(all));
        let mut training = SupervisedTraining::new(folder, Arc::new(train), Arc::new(valid))
            .metrics((LossMetric::new(), metrics::step()))
            .metric_train_numeric(LearningRateMetric::new())
            .metric_train_numeric(metrics::mean_t())
            .metric_train_numeric(metrics::mean_slowing())
            .metric_train_numeric(metrics::gradient_norm())
            .metric_train_numeric(metrics::ema_distance())
            .metric_train_numeric(metrics::samples_per_second())
            .metric_train_numeric(metrics::slowing_histogram(board.clone(), self.measured_every()));
        for gauge in metrics::loss_by_t(4) {
            training = training.metric_train_numeric(gauge);
        }
        training = training
            .with_metric_logger(FileMetricLogger::new(folder))
            .with_metric_logger(TensorBoardLogger::new(board.clone(), (config.steps_per_epoch / 50).max(1)))
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_interrupter(interrupter.clone())
            .with_application_logger(None)
            .renderer(renderer(&self.label, interrupter, (finished > 0).then_some(finished)))
            .num_epochs(epochs);
        if config.accumulation > 1 {
            training = training.grads_accumulation(config.accumulation);
        }
        if devices.len() > 1 {
            let devices = devices.iter().map(|d| d.clone().autodiff()).collect();
            let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
            training = training.with_training_strategy(strategy.into());
        }
        if finished > 0 {
            training = training.checkpoint(finished);
        }
        let scheduler = config.schedule.build(config.optimizer.learning_rate, config.steps);
        let started = Instant::now();
        let result = training.launch(Learner::new(step, config.optimizer.build(), scheduler));
        let time = started.elapsed();
        board.flush();
        if let Some(fault) = result.model.fault() {
            return Err(Error::Training(fault.to_string()));
        }
        if let Some(error) = result.error {
            return Err(Error::Training(error.to_string()));
        }
        if let Some(interruption) = result.interrupted {
            return Err(Error::Training(interruption.reason.unwrap_or_else(|| "interrupted".into())));
        }
        Ok(Trained {
            ema: result.model.ema().clone(),
            raw: result.model.network().clone(),
            time,
            steps: epochs.saturating_sub(finished) * config.steps_per_epoch,
            finished: epochs.max(finished) >= all,
            board,
        })
    }

    fn step<N, const D: usize>(&self, network: N, micro_batches: usize) -> Result<TrainStepBuilder<N, D>>
    where
        N: PredictionNetwork<D> + ModuleDisplay,
    {
        let config = self.config;
        let objective = Objective { target: config.target, ..self.objective.clone() };
        let step = MixFlowTrainStep::builder(network, config.strategy.build(config.time_shift.as_ref())?)
            .with_objective(objective)
            .with_ema(config.ema)
            .with_precision(config.precision)
            .with_condition_dropout(config.condition_dropout)
            .with_micro_batches(micro_batches)
            .with_ema_distance_every(self.measured_every())
            .with_seed(self.seed);
        let step = config.optimizer.clip.into_iter().fold(step, TrainStepBuilder::with_clip);
        let step = config.input.into_iter().fold(step, TrainStepBuilder::with_input);
        Ok(config.anti_drift.into_iter().fold(step, TrainStepBuilder::with_anti_drift))
    }

    /// Updates between measurements that cost something.
    fn measured_every(&self) -> u64 {
        (self.config.steps_per_epoch as u64 / 10).max(1)
    }

    /// TensorBoard from the first step that will run: what an interrupted run drew after it goes.
    fn board(&self, first_step: usize) -> Result<TensorBoard> {
        let first_step = first_step as i64;
        let board = TensorBoard::create(&self.folder.join("tensorboard"), first_step);
        let json = serde_json::to_string_pretty(self.config).map_err(|e| Error::Invalid(format!("the stage: {e}")))?;
        board.text("stage", &format!("```json\n{json}\n```"), first_step);
        self.texts.iter().for_each(|text| board.text(&text.tag, &text.markdown, first_step));
        Ok(board)
    }
}

const VALIDATION_SEED: u64 = 0x6D69_7866_6C6F_7721;

#[cfg(test)]
mod tests;
