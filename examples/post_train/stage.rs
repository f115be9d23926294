//! The two stages of the experiment, and where they are kept.
use crate::compare::Comparison;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::{module::Module, store::ModuleRecord};
use burn_mixflow::config::{RunConfig, StageConfig};
use burn_mixflow::data::{DataSplit, ImageItem};
use burn_mixflow::models::{Network, NetworkCondition};
use burn_mixflow::monitor::TensorBoard;
use burn_mixflow::run::{Stage, Trained};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, ema};
use burn_mixflow::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Stacks images and labels.
#[derive(Clone)]
pub struct Images(pub [usize; 3]);

impl Batcher<ImageItem, FlowBatch<4, NetworkCondition>> for Images {
    fn batch(&self, items: Vec<ImageItem>, device: &Device) -> FlowBatch<4, NetworkCondition> {
        let [channels, height, width] = self.0;
        let count = items.len();
        let labels: Vec<i64> = items.iter().map(|i| i.label).collect();
        let pixels: Vec<f32> = items.into_iter().flat_map(|i| i.pixels).collect();
        let data = Tensor::from_data(TensorData::new(pixels, [count, channels, height, width]), device);
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device);
        FlowBatch::new(data, labels.into())
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

impl Experiment<'_> {
    /// Post-trains a copy of `start`; writes checkpoints, metrics and TensorBoard events to `folder`.
    pub fn post_train(
        &self,
        arm: &Arm,
        start: &Network,
        folder: &Path,
        comparison: &Comparison,
    ) -> Result<Trained<Network>> {
        let stage = StageConfig { strategy: arm.strategy, ..self.config.post_train.clone() };
        let label = format!("{} seed {}", arm.name, arm.seed);
        let network = self.config.network.init(0, &self.device.clone().autodiff())?;
        let network = ema::load(network, start);
        let board = TensorBoard::create(&folder.join("tensorboard"), 0);
        board.text("config", &format!("```json\n{}\n```", crate::table::pretty(self.config)?), 0);
        let trained =
            self.train(&stage, network, stage_seed("post_train", stage.seed, arm.seed), folder, &label, &board)?;
        let picture = comparison.preview(&trained.ema, arm.seed)?;
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
        let trained = self.train(stage, network, seed, cache, "pretrain", &board)?.ema;
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
    ) -> Result<Trained<Network>> {
        let Self { config, data, device } = *self;
        let objective = config.objective(stage);
        let devices = std::slice::from_ref(device);
        let stage = Stage { config: stage, objective, seed, devices, folder, label, board, until_epoch: None };
        stage.run(network, data.train.clone(), data.held_out.clone(), Images(data.shape))
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
