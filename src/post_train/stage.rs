//! One training stage, run by Burn's `SupervisedTraining`.
use crate::checkpoint::CheckpointSets;
use crate::monitor::{TensorBoard, TensorBoardLogger, renderer};
use crate::network::PredictionNetwork;
use crate::post_train::StageConfig;
use crate::train::{EpochLoader, FlowBatch, MixFlowTrainStep, Objective, metrics};
use crate::{Error, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::ModuleDisplay;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::FileMetricLogger;
use burn::train::metric::{LearningRateMetric, LossMetric};
use burn::train::{ExecutionStrategy, Interrupter, Learner, MultiDeviceOptim, SupervisedTraining};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a stage needs besides its network and its data.
///
/// Everything it writes goes below `folder`: `checkpoints/`, the metric files and, through `board`, TensorBoard
/// events. A stage whose folder holds a complete checkpoint goes on there.
pub struct Stage<'a> {
    /// The stage's section of the JSON.
    pub config: &'a StageConfig,
    /// What predictions are compared with.
    pub objective: Objective,
    /// The seed of all draws of the stage.
    pub seed: u64,
    /// Where it runs, without autodiff; at least one. Several share each batch.
    pub devices: &'a [Device],
    /// Where it writes.
    pub folder: &'a Path,
    /// How its progress lines begin.
    pub label: &'a str,
    /// Where its metrics are drawn.
    pub board: &'a TensorBoard,
    /// Stop after this epoch, to go on another day; the learning rate still follows all steps.
    pub until_epoch: Option<usize>,
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
}

impl Stage<'_> {
    /// Trains `network`, built on the first device with autodiff, or goes on from the newest checkpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the batch does not divide over devices and accumulation or is larger than the data set,
    /// [`Error::Io`] if the folder cannot be written, [`Error::Training`] if training stops before its end.
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
        let Self { config, folder, .. } = self;
        let device = self.devices.first().ok_or_else(|| Error::Invalid("a stage needs at least one device".into()))?;
        let micro_batches = self.devices.len() * config.accumulation;
        let batch = config.batch_size.checked_div(micro_batches).filter(|b| b * micro_batches == config.batch_size);
        let batch = batch.ok_or_else(|| {
            let (size, count, times) = (config.batch_size, self.devices.len(), config.accumulation);
            Error::Invalid(format!("batch_size = {size}: must divide over {count} device(s) × {times} accumulated"))
        })?;
        let sets = CheckpointSets::open(folder.join("checkpoints"))?;
        let finished = sets.latest()?.unwrap_or(0);
        let autodiff = device.clone().autodiff();
        let train = EpochLoader::training(train, batcher.clone(), &autodiff, batch, self.seed, finished)?
            .with_batches_per_epoch(config.steps_per_epoch * config.accumulation)
            .with_batches_per_step(config.accumulation);
        // The same for every seed, so that the validation losses of all runs compare.
        let valid = EpochLoader::validation(held_out, batcher, device, batch, VALIDATION_SEED)?;

        let interrupter = Interrupter::new();
        let every = (config.steps_per_epoch as u64 / 10).max(1);
        let step = MixFlowTrainStep::new(network, config.strategy.build(config.time_shift.as_ref())?)
            .with_objective(self.objective.clone())
            .with_ema(config.ema)
            .with_clip(config.optimizer.clip)
            .with_precision(config.precision)
            .with_condition_dropout(config.condition_dropout)?
            .with_input(config.input)
            .with_anti_drift(config.anti_drift)
            .with_micro_batches(micro_batches)
            .with_ema_distance_every(every)
            .with_seed(self.seed)
            .with_interrupter(interrupter.clone());

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
            .metric_train_numeric(metrics::slowing_histogram(self.board.clone(), every));
        for gauge in metrics::loss_by_t(4) {
            training = training.metric_train_numeric(gauge);
        }
        training = training
            .with_metric_logger(FileMetricLogger::new(folder))
            .with_metric_logger(TensorBoardLogger::new(self.board.clone(), (config.steps_per_epoch / 50).max(1)))
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_interrupter(interrupter.clone())
            .with_application_logger(None)
            .renderer(renderer(self.label, interrupter, (finished > 0).then_some(finished)))
            .num_epochs(epochs);
        if config.accumulation > 1 {
            training = training.grads_accumulation(config.accumulation);
        }
        if self.devices.len() > 1 {
            let devices = self.devices.iter().map(|d| d.clone().autodiff()).collect();
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
        })
    }
}

const VALIDATION_SEED: u64 = 0x6D69_7866_6C6F_7721;
