//! One training stage, run by Burn's `SupervisedTraining`.
use crate::compare::Comparison;
use crate::training_error;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::{module::Module, store::ModuleRecord};
use burn_mixflow::checkpoint::CheckpointSets;
use burn_mixflow::config::{RunConfig, StageConfig};
use burn_mixflow::data::{DataSplit, ImageItem};
use burn_mixflow::models::Network;
use burn_mixflow::monitor::{TensorBoard, TensorBoardLogger, renderer};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{EpochLoader, FlowBatch, MixFlowTrainStep, ema, metrics};
use burn_mixflow::{Error, Result};
use burn_train::checkpoint::KeepLastNCheckpoints;
use burn_train::logger::FileMetricLogger;
use burn_train::metric::{LearningRateMetric, LossMetric};
use burn_train::{Interrupter, Learner, SupervisedTraining};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stacks images and labels.
pub struct Images(pub [usize; 3]);

impl Batcher<ImageItem, FlowBatch<4, Tensor<1, Int>>> for Images {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> FlowBatch<4, Tensor<1, Int>> {
        let [channels, height, width] = self.0;
        let count = items.len();
        let labels: Vec<i64> = items.iter().map(|i| i.label).collect();
        let pixels: Vec<f32> = items.into_iter().flat_map(|i| i.pixels).collect();
        let data = Tensor::from_data(TensorData::new(pixels, [count, channels, height, width]), device);
        FlowBatch::new(data, Tensor::from_data(TensorData::new(labels, [count]), device))
    }
}

/// What every stage needs to know.
#[derive(Clone, Copy)]
pub struct Experiment<'a> {
    pub config: &'a RunConfig,
    pub data: &'a DataSplit,
    pub device: &'a Device,
}

/// One post-training.
pub struct Arm<'a> {
    pub name: &'a str,
    pub strategy: StrategyConfig,
    pub seed: u64,
}

/// A trained network (its EMA, without autodiff), and the time and number of the steps this process ran.
pub struct Trained {
    pub network: Network,
    pub time: Duration,
    pub steps: usize,
}

impl Experiment<'_> {
    /// Post-trains a copy of `start`; writes checkpoints, metrics and TensorBoard events to `folder`.
    pub fn post_train(&self, arm: &Arm, start: &Network, folder: &Path, comparison: &Comparison) -> Result<Trained> {
        let stage = StageConfig { strategy: arm.strategy, ..self.config.post_train.clone() };
        let label = format!("{} seed {}", arm.name, arm.seed);
        let network = self.config.network.init(0, &self.device.clone().autodiff())?;
        let network = ema::load(network, start);
        let board = TensorBoard::create(&folder.join("tensorboard"), 0);
        board.text("config", &format!("```json\n{}\n```", crate::table::pretty(self.config)?), 0);
        let trained =
            self.train(&stage, network, stage_seed("post_train", stage.seed, arm.seed), folder, &label, &board)?;
        let picture = comparison.preview(&trained.network, arm.seed)?;
        board.image("samples", picture.width as u32, picture.height as u32, &picture.rgb, stage.steps as i64);
        board.flush();
        Ok(trained)
    }

    /// Loads the pretrained EMA, or trains it; an interrupted pretraining goes on at its last checkpoint.
    pub fn pretrain(&self, cache: &Path) -> Result<Network> {
        let stage = &self.config.pretrain;
        let network = self.config.network.init(stage.seed, &self.device.clone().autodiff())?;
        let file = cache.join("ema.bpk");
        if is_pretrained(cache) {
            println!("pretrained weights: {} (cached)", file.display());
            let record = ModuleRecord::load(&file).map_err(|e| Error::format(&file, e.to_string()))?;
            return network.valid().try_load_record(record).map_err(|e| Error::format(&file, e.to_string()));
        }
        create(cache)?;
        let board = TensorBoard::create(&cache.join("tensorboard"), 0);
        let seed = stage_seed("pretrain", stage.seed, 0);
        let trained = self.train(stage, network, seed, cache, "pretrain", &board)?.network;
        let part = cache.join("ema.part.bpk");
        trained.clone().into_record().save(&part).map_err(|e| Error::format(&part, e.to_string()))?;
        std::fs::rename(&part, &file).map_err(|e| Error::io(&file, e))?;
        Ok(trained)
    }

    fn train(
        &self,
        stage: &StageConfig,
        network: Network,
        seed: u64,
        folder: &Path,
        label: &str,
        board: &TensorBoard,
    ) -> Result<Trained> {
        let Self { config, data, device } = *self;
        let interrupter = Interrupter::new();
        let every = (stage.steps_per_epoch as u64 / 10).max(1);
        let step = MixFlowTrainStep::new(network, stage.strategy.build(stage.time_shift.as_ref())?)
            .with_objective(config.objective(stage))
            .with_ema(stage.ema)
            .with_clip(stage.optimizer.clip)
            .with_condition_dropout(stage.condition_dropout)?
            .with_ema_distance_every(every)
            .with_seed(seed)
            .with_interrupter(interrupter.clone());
        let sets = CheckpointSets::open(folder.join("checkpoints"))?;
        let finished = sets.latest()?.unwrap_or(0);
        let epochs = stage.steps / stage.steps_per_epoch;
        let (model, optimizer, scheduler) = sets.parts();
        let images = || Images(data.shape);
        let autodiff = device.clone().autodiff();
        let train = EpochLoader::training(data.train.clone(), images(), &autodiff, stage.batch_size, seed, finished)?
            .with_batches_per_epoch(stage.steps_per_epoch);
        let valid = EpochLoader::validation(data.held_out.clone(), images(), device, 500, stage_seed("valid", 0, 0))?;
        let mut training = SupervisedTraining::new(folder, Arc::new(train), Arc::new(valid))
            .metrics((LossMetric::new(), metrics::step()))
            .metric_train_numeric(LearningRateMetric::new())
            .metric_train_numeric(metrics::mean_t())
            .metric_train_numeric(metrics::mean_slowing())
            .metric_train_numeric(metrics::gradient_norm())
            .metric_train_numeric(metrics::ema_distance())
            .metric_train_numeric(metrics::samples_per_second())
            .metric_train_numeric(metrics::slowing_histogram(board.clone(), every));
        for gauge in metrics::loss_by_t(4) {
            training = training.metric_train_numeric(gauge);
        }
        let mut training = training
            .with_metric_logger(FileMetricLogger::new(folder))
            .with_metric_logger(TensorBoardLogger::new(board.clone(), (stage.steps_per_epoch / 50).max(1)))
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_interrupter(interrupter.clone())
            .with_application_logger(None)
            .renderer(renderer(label, interrupter, (finished > 0).then_some(finished)))
            .num_epochs(epochs);
        if finished > 0 {
            training = training.checkpoint(finished);
        }
        let scheduler = stage.schedule.build(stage.optimizer.learning_rate, stage.steps);
        let started = Instant::now();
        let result = training.launch(Learner::new(step, stage.optimizer.build(), scheduler));
        let time = started.elapsed();
        if let Some(fault) = result.model.fault() {
            return Err(training_error(fault));
        }
        if let Some(error) = result.error {
            return Err(training_error(error));
        }
        if let Some(interruption) = result.interrupted {
            return Err(training_error(interruption.reason.unwrap_or_else(|| "interrupted".into())));
        }
        let steps = epochs.saturating_sub(finished) * stage.steps_per_epoch;
        Ok(Trained { network: result.model.ema().clone(), time, steps })
    }
}

/// A seed of its own for each stage: without it post-training would replay the draws of pretraining.
fn stage_seed(stage: &str, seed: u64, repetition: u64) -> u64 {
    let hash = Sha256::digest(format!("{stage} {seed} {repetition}"));
    hash.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Where the pretrained weights of this configuration are kept: named by a hash of all that makes them.
pub fn cache_folder(config: &RunConfig) -> PathBuf {
    let made_of = serde_json::json!([
        env!("CARGO_PKG_VERSION"),
        config.data,
        config.network,
        config.path,
        config.prediction,
        config.loss_weight,
        config.pretrain,
    ]);
    let hash = Sha256::digest(made_of.to_string());
    let name: String = hash.iter().take(8).map(|b| format!("{b:02x}")).collect();
    Path::new("runs/cache").join(name)
}

/// Whether the cache holds finished weights.
pub fn is_pretrained(cache: &Path) -> bool {
    cache.join("ema.bpk").exists()
}

/// `base/1`, or the next free number.
pub fn next_folder(base: &Path) -> Result<PathBuf> {
    (1..10_000)
        .map(|n| base.join(n.to_string()))
        .find(|folder| !folder.exists())
        .ok_or_else(|| Error::Invalid(format!("{}: holds 9999 runs", base.display())))
}

pub fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
}

pub fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|e| Error::io(file, e))
}
