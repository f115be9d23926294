//! What pretraining and every post-training share, and where pretrained weights are kept.
use super::files::{create, hash};
use crate::data::{DataConfig, DataSplit, ImageItem};
use crate::experiment::config::{AblationConfig, RunConfig};
use crate::models::{Network, NetworkCondition, NetworkConfig};
use crate::path::{PathConfig, PredictionKind, TrainingInterval};
use crate::post_train::StageConfig;
use crate::post_train::{Stage, Trained};
use crate::train::{FlowBatch, LossWeight, Objective, ema};
use crate::{Error, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Int, Tensor, TensorData};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// All that makes pretrained weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The data set.
    pub data: DataConfig,
    /// The network.
    pub network: NetworkConfig,
    /// The interpolation path.
    pub path: PathConfig,
    /// What the network predicts.
    pub prediction: PredictionKind,
    /// The weight of a noise or score error.
    pub loss_weight: LossWeight,
    /// The stage of pretraining.
    pub pretrain: StageConfig,
}

impl From<&RunConfig> for Setting {
    fn from(config: &RunConfig) -> Self {
        let RunConfig { data, network, path, prediction, loss_weight, pretrain, .. } = config.clone();
        Self { data, network, path, prediction, loss_weight, pretrain }
    }
}

impl From<&AblationConfig> for Setting {
    fn from(config: &AblationConfig) -> Self {
        let AblationConfig { data, network, path, prediction, loss_weight, pretrain, .. } = config.clone();
        Self { data, network, path, prediction, loss_weight, pretrain }
    }
}

impl Setting {
    /// The regression objective of a stage.
    pub fn objective(&self, stage: &StageConfig) -> Objective {
        Objective {
            path: self.path.build(),
            prediction: self.prediction,
            target: stage.target,
            weight: self.loss_weight,
            interval: TrainingInterval::training(self.path, self.prediction),
        }
    }

    /// The text whose hash names the pretrained weights.
    pub(super) fn made_of(&self) -> String {
        let Self { data, network, path, prediction, loss_weight, pretrain } = self;
        let version = env!("CARGO_PKG_VERSION");
        serde_json::json!([version, data, network, path, prediction, loss_weight, pretrain]).to_string()
    }

    /// Where the pretrained weights are kept below `root`: named by a hash of all that makes them.
    pub fn cache_folder(&self, root: &Path) -> PathBuf {
        root.join(hash(&self.made_of()))
    }
}

/// Stacks images and labels.
#[derive(Debug, Clone)]
pub struct ImageBatcher(
    /// `[C, H, W]` of one image.
    pub [usize; 3],
);

impl Batcher<ImageItem, FlowBatch<4, NetworkCondition>> for ImageBatcher {
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

/// A setting with its data loaded and its device opened.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The setting.
    pub setting: Setting,
    /// Its data.
    pub data: DataSplit,
    /// Where networks train and sample, without autodiff.
    pub device: Device,
}

/// One post-training of the pretrained weights.
pub struct PostTraining<'a> {
    /// The stage.
    pub stage: &'a StageConfig,
    /// The seed of the repetition.
    pub seed: u64,
    /// How its progress lines begin.
    pub label: &'a str,
}

impl Experiment {
    /// Loads the data.
    ///
    /// # Errors
    /// As [`DataConfig::load`].
    pub fn new(setting: Setting, device: Device) -> Result<Self> {
        let data = setting.data.load()?;
        Ok(Self { setting, data, device })
    }

    /// The same, but for every fifth training sample, which takes the place of the held-out data.
    ///
    /// # Errors
    /// As [`DataSplit::set_aside`].
    pub fn set_aside(&self) -> Result<Self> {
        Ok(Self { data: self.data.set_aside()?, ..self.clone() })
    }

    /// Post-trains a copy of `start`, or goes on from the newest checkpoint in `folder`, where all files go.
    ///
    /// # Errors
    /// As [`Stage::run`].
    pub fn post_train(&self, start: &Network, folder: &Path, what: &PostTraining<'_>) -> Result<Trained<Network>> {
        let PostTraining { stage, seed, label } = *what;
        let network = self.setting.network.init(0, &self.device.clone().autodiff())?;
        self.train(stage, ema::load(network, start), (stage_seed("post_train", stage.seed, seed), label), folder)
    }

    /// Loads the pretrained EMA from `cache`, or trains it; an interrupted pretraining goes on at its last checkpoint.
    ///
    /// # Errors
    /// As [`Stage::run`]; [`Error::Format`] for a file that does not hold these weights.
    pub fn pretrain(&self, cache: &Path) -> Result<Network> {
        let stage = &self.setting.pretrain;
        if is_pretrained(cache) {
            return self.load(&weights_file(cache));
        }
        create(cache)?;
        let network = self.setting.network.init(stage.seed, &self.device.clone().autodiff())?;
        let seed = stage_seed("pretrain", stage.seed, 0);
        let trained = self.train(stage, network, (seed, "pretrain"), cache)?.ema;
        save(&trained, &weights_file(cache))?;
        Ok(trained)
    }

    /// The network with the weights of `file`, without autodiff.
    ///
    /// # Errors
    /// [`Error::Format`] if the file does not hold weights of this network.
    pub fn load(&self, file: &Path) -> Result<Network> {
        let network = self.setting.network.init(self.setting.pretrain.seed, &self.device.clone().autodiff())?;
        let record = ModuleRecord::load(file).map_err(|e| Error::format(file, e.to_string()))?;
        network.valid().try_load_record(record).map_err(|e| Error::format(file, e.to_string()))
    }

    fn train(
        &self,
        stage: &StageConfig,
        network: Network,
        (seed, label): (u64, &str),
        folder: &Path,
    ) -> Result<Trained<Network>> {
        let Self { setting, data, device } = self;
        let runner = Stage::new(stage, folder).objective(setting.objective(stage)).seed(seed).label(label);
        runner.devices(std::slice::from_ref(device)).run(
            network,
            data.train.clone(),
            data.held_out.clone(),
            ImageBatcher(data.shape),
        )
    }
}

/// Writes weights; the file is there whole or not at all.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`] if it cannot be written.
pub fn save(network: &Network, file: &Path) -> Result<()> {
    let part = file.with_extension("part.bpk");
    network.clone().into_record().save(&part).map_err(|e| Error::format(&part, e.to_string()))?;
    std::fs::rename(&part, file).map_err(|e| Error::io(file, e))
}

/// The file of the averaged weights in a folder.
pub fn weights_file(folder: &Path) -> PathBuf {
    folder.join("ema.bpk")
}

/// Whether the cache holds finished weights.
pub fn is_pretrained(cache: &Path) -> bool {
    weights_file(cache).exists()
}

/// A seed of its own for each stage: without it post-training would replay the draws of pretraining.
pub(super) fn stage_seed(stage: &str, seed: u64, repetition: u64) -> u64 {
    let hash = Sha256::digest(format!("{stage} {seed} {repetition}"));
    hash.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}
