//! The way of an official checkpoint: load, post-train, sample, write back.
use super::{LatentBatcher, Stage, Trained};
use crate::checkpoint::weights::ImportReport;
use crate::config::{LabelSampling, SystemConfig};
use crate::data::LatentSplit;
use crate::models::rae::RaeDecoder;
use crate::models::{Network, NetworkCondition};
use crate::monitor::TensorBoard;
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey};
use crate::sample::{Progress, Sampler};
use crate::{Error, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;
use std::path::Path;

/// A [`SystemConfig`] with its devices and data opened.
pub struct System {
    config: SystemConfig,
    devices: Vec<Device>,
    data: LatentSplit,
}

/// What was generated.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The latents `[count, channels, height, width]` as the autoencoder's decoder takes them.
    pub latents: Tensor<4>,
    /// The labels `[count]`; zeros for text.
    pub labels: Vec<i64>,
    /// The decoded pictures `[count, 3, height, width]` in [0, 1], if a decoder is configured.
    pub pixels: Option<Tensor<4>>,
}

impl System {
    /// Opens the devices and lists the data.
    ///
    /// # Errors
    /// [`Error::Device`] for a device this build or machine does not have; what opening the data reports.
    pub fn open(config: SystemConfig) -> Result<Self> {
        let devices = config.devices.iter().map(|name| name.open()).collect::<Result<Vec<_>>>()?;
        let data = config.data.open()?;
        Ok(Self { config, devices, data })
    }

    /// The configuration.
    pub fn config(&self) -> &SystemConfig {
        &self.config
    }

    /// The training and held-out latents.
    pub fn data(&self) -> &LatentSplit {
        &self.data
    }

    fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// The network with the official weights, ready to train.
    ///
    /// # Errors
    /// As [`Network::import`].
    pub fn load(&self) -> Result<(Network, ImportReport)> {
        let network = self.config.network.init(self.config.post_train.seed, &self.device().clone().autodiff())?;
        network.import(&self.config.weights.file, &self.config.weights.options())
    }

    /// Post-trains `network`, or goes on from the newest checkpoint below `folder`; stops after `until_epoch`.
    ///
    /// # Errors
    /// As [`Stage::run`].
    pub fn post_train(&self, network: Network, folder: &Path, until_epoch: Option<usize>) -> Result<Trained<Network>> {
        let board = TensorBoard::create(&folder.join("tensorboard"), 0);
        let text = serde_json::to_string_pretty(&self.config).map_err(|e| Error::Invalid(e.to_string()))?;
        board.text("config", &format!("```json\n{text}\n```"), 0);
        let stage = Stage {
            config: &self.config.post_train,
            objective: self.config.objective(),
            seed: self.config.post_train.seed,
            devices: &self.devices,
            folder,
            label: "post_train",
            board: &board,
            until_epoch,
        };
        let trained = stage.run(network, self.data.train.clone(), self.data.held_out.clone(), self.batcher());
        board.flush();
        trained
    }

    fn batcher(&self) -> LatentBatcher {
        LatentBatcher::new(self.config.data.shape, self.data.null.clone())
    }

    /// Generates as the section `sample` says, with `network` on the first device, without autodiff.
    ///
    /// # Errors
    /// As [`Sampler::sample`]; what loading the weak network or the decoder reports.
    pub fn sample(&self, network: &Network, progress: &mut dyn FnMut(Progress)) -> Result<Samples> {
        let SystemConfig { sample, path, prediction, data, .. } = &self.config;
        let interval = TrainingInterval::sampling(*path, *prediction);
        let sampler = Sampler::new(sample.sampler.clone(), path.build(), *prediction, interval)?;
        let weak = match (&sample.weak, sample.sampler.skipped_blocks()) {
            (Some(weak), _) => {
                let network = weak.network.init(0, self.device())?;
                Some(network.import(&weak.weights.file, &weak.weights.options())?.0)
            }
            (None, Some(blocks)) => Some(network.skipping(blocks)?),
            (None, None) => None,
        };
        let labels = self.labels();
        let condition = self.condition(&labels)?;
        let [channels, height, width] = data.shape;
        let shape = [sample.count, channels, height, width];
        let latents =
            sampler.sample(network, weak.as_ref(), &condition, shape, sample.seed, self.device(), progress)?;
        let latents = self.data.restore(latents);
        let pixels = match &sample.decoder {
            None => None,
            Some(decoder) => {
                let network = decoder.network.init(self.device())?;
                let (network, _) = RaeDecoder::import(&network, &decoder.weights.file, &decoder.weights.options())?;
                Some(network.decode(latents.clone()))
            }
        };
        Ok(Samples { latents, labels, pixels })
    }

    fn labels(&self) -> Vec<i64> {
        let (sample, classes) = (&self.config.sample, self.config.data.classes.max(1));
        (0..sample.count)
            .map(|position| match sample.labels {
                LabelSampling::Equal => (position % classes) as i64,
                LabelSampling::Random => {
                    let key = SampleKey { seed: sample.seed, epoch: 0, position: position as u64 };
                    key.rng(Purpose::GenerationCondition).random_range(0..classes) as i64
                }
            })
            .collect()
    }

    /// The labels, and the texts of the held-out items in turn.
    fn condition(&self, labels: &[i64]) -> Result<NetworkCondition> {
        let device = self.device();
        if !self.config.network.reads_text() {
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [labels.len()]), device);
            return Ok(labels.into());
        }
        let held_out = &self.data.held_out;
        let items = (0..labels.len()).map(|i| held_out.get(i % held_out.len())).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|e| Error::Invalid(e.to_string()))?;
        Ok(self.batcher().batch(items, device).condition)
    }
}
