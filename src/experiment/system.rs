//! The way of an official checkpoint: load, post-train, sample, write back.
use super::{Samples, files};
use crate::data::latents::{Array, LatentBatcher, LatentItem, LatentSplit, stack_features, stack_labels, stack_texts};
use crate::experiment::config::{LabelSampling, SystemConfig, WeightsConfig};
use crate::models::mmdit::{NullText, TextCondition};
use crate::models::rae::DECODER_OFFICIAL_NAMES;
use crate::models::weights::{ImportReport, KeyMap, import};
use crate::models::{Network, NetworkCondition};
use crate::network::Condition;
use crate::path::TrainingInterval;
use crate::post_train::{Stage, Trained};
use crate::random::{Purpose, SampleKey};
use crate::sample::{Networks, Progress, Sampler, SamplerConfig, WeakGuidanceConfig};
use crate::train::FlowBatch;
use crate::{Error, Problem, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
use rand::RngExt;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A [`SystemConfig`] with its devices and data opened.
pub struct System {
    config: SystemConfig,
    devices: Vec<Device>,
    data: LatentSplit,
}

impl System {
    /// Opens the devices, lists the data, and looks whether every file of weights is there.
    ///
    /// # Errors
    /// [`Error::Config`] for values that violate a condition, or data of another shape than the network reads;
    /// [`Error::Device`] for a device this build or machine does not have; [`Error::Io`] for an absent file; what
    /// opening the data reports.
    pub fn open(config: SystemConfig) -> Result<Self> {
        Error::if_any(config.problems())?;
        let devices = config.devices.iter().map(|name| name.open()).collect::<Result<Vec<_>>>()?;
        let data = config.data.open()?;
        let SystemConfig { network, weights, sample, post_train, .. } = &config;
        let mut problems = network.misfits(&data);
        problems.extend(sample.weak.iter().flat_map(|weak| weak.network.misfits(&data)));
        let batch = post_train.batch_size / post_train.accumulation;
        // Pilots leave some out, and train with the same batches.
        let items = if post_train.strategy.is_auto() { data.set_aside()?.train.len() } else { data.train.len() };
        let must = format!("over accumulation must be at most {items}, the number of latents to train on");
        let fits = batch / devices.len() <= items;
        Problem::unless(&mut problems, fits, "post_train", "batch_size", post_train.batch_size, must);
        Error::if_any(problems)?;
        // Those of sampling are read after training, too late to learn that one is missing.
        let sampling = [sample.weak.as_ref().map(|w| &w.weights), sample.decoder.as_ref().map(|d| &d.weights)];
        for WeightsConfig { file, .. } in sampling.into_iter().flatten().chain([weights]) {
            std::fs::File::open(file).map_err(|e| Error::io(file, e))?;
        }
        Ok(Self { config, devices, data })
    }

    /// Makes `folder` and keeps the configuration in it, so that two trainings never mix; `sample` may change, and so
    /// may `devices`, on which the draws do not depend.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming what differs if it holds the results of another configuration, [`Error::Io`] if it
    /// cannot be read or written.
    pub fn claim(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let (file, new) = (folder.join("config.json"), self.json()?);
        if file.exists() {
            let old = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))?;
            let differs = training_differences(&old, &new);
            if !differs.is_empty() {
                let (folder, keys) = (folder.display(), differs.join("`, `"));
                let message = format!("{folder}: holds the results of another configuration: `{keys}` differs");
                return Err(Error::Invalid(message));
            }
        }
        std::fs::write(&file, new).map_err(|e| Error::io(&file, e))
    }

    fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.config).map_err(|e| Error::Invalid(e.to_string()))
    }

    /// The configuration.
    pub fn config(&self) -> &SystemConfig {
        &self.config
    }

    /// The training and held-out latents.
    pub fn data(&self) -> &LatentSplit {
        &self.data
    }

    /// The same with `gamma` where the post-training says `"auto"`.
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.config.post_train.strategy = self.config.post_train.strategy.with_auto(gamma);
        self.config.gamma_search = Default::default();
        self
    }

    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(super) fn device(&self) -> &Device {
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
    /// `post_train.json` in the folder is the stage with its γ: one that was chosen may come out otherwise another time.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the folder holds the training of another stage; as [`Stage::run`].
    pub fn post_train(&self, network: Network, folder: &Path, until_epoch: Option<usize>) -> Result<Trained<Network>> {
        Error::if_any(self.config.post_train.strategy.problems("post_train.strategy"))?;
        files::create(folder)?;
        let refusal = "holds the training of another stage, perhaps of another γ that was chosen; take another folder";
        files::claim(&folder.join("post_train.json"), &files::pretty(&self.config.post_train)?, refusal)?;
        let stage = Stage::new(&self.config.post_train, folder)
            .objective(self.config.objective())
            .devices(&self.devices)
            .label("post_train")
            .text("config", format!("```json\n{}\n```", self.json()?));
        let stage = until_epoch.into_iter().fold(stage, Stage::until_epoch);
        stage.run(network, self.data.train.clone(), self.data.held_out.clone(), self.batcher())
    }

    /// Latents with everything the networks may read beside them.
    pub(super) fn batcher(&self) -> impl Batcher<LatentItem, FlowBatch<4, NetworkCondition>> + Clone + use<> {
        let null = self.data.null_text.as_ref().map(|text| {
            let device = Device::flex();
            let (context, pooled) = (tensor::<2>(&text.context, &device), tensor::<1>(&text.pooled, &device));
            Arc::new(NullText { context: context.unsqueeze(), pooled: Some(pooled.unsqueeze()) })
        });
        LatentBatcher::new(self.config.data.shape, move |items: &[LatentItem], device: &Device| NetworkCondition {
            labels: stack_labels(items, device),
            features: stack_features(items, device),
            text: stack_texts(items, device).map(|(context, pooled)| {
                let text = TextCondition::new(context, Some(pooled));
                match &null {
                    Some(null) => text.with_null(null.clone()).to_device(device),
                    None => text,
                }
            }),
        })
    }

    /// Generates as the section `sample` says, with `network` on the first device, without autodiff.
    ///
    /// # Errors
    /// As [`Sampler::sample`]; what loading the weak network or the decoder reports.
    pub fn sample(&self, network: &Network, progress: &mut dyn FnMut(Progress)) -> Result<Samples> {
        let sample = &self.config.sample;
        let labels = self.labels();
        let condition = self.condition(&labels)?;
        let (weak, drawn) = (self.weak(network)?, (sample.count, sample.seed));
        let networks = Networks { main: network, weak: weak.as_ref() };
        let latents = self.generate(networks, sample.sampler.clone(), &condition, drawn, progress)?;
        let latents = self.data.scaling.to_latents(latents);
        let pixels = match &sample.decoder {
            None => None,
            Some(decoder) => {
                let (weights, names) = (&decoder.weights, KeyMap(DECODER_OFFICIAL_NAMES));
                let network = decoder.network.init(self.device())?;
                let (network, _) = import(&network, &weights.file, &weights.options(), names)?;
                Some(network.decode(latents.clone())?.clamp(0.0, 1.0))
            }
        };
        Ok(Samples { latents, labels, pixels })
    }

    /// The network that weak guidance leads away from, if there is one: read from its file, or `network` without layers.
    pub(super) fn weak(&self, network: &Network) -> Result<Option<Network>> {
        let sample = &self.config.sample;
        match (&sample.weak, &sample.sampler.weak_guidance) {
            (Some(weak), _) => {
                let network = weak.network.init(0, self.device())?;
                Ok(Some(network.import(&weak.weights.file, &weak.weights.options())?.0))
            }
            (None, Some(WeakGuidanceConfig::SkipLayer { .. })) => network.skipping(&sample.skipped_layers).map(Some),
            (None, _) => Ok(None),
        }
    }

    /// As many latents as `count` says, scaled as the network is trained on them, from the noise of `seed`.
    pub(super) fn generate(
        &self,
        networks: Networks<'_, Network>,
        sampler: SamplerConfig,
        condition: &NetworkCondition,
        (count, seed): (usize, u64),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Tensor<4>> {
        let SystemConfig { path, prediction, data, .. } = &self.config;
        let interval = TrainingInterval::sampling(*path, *prediction);
        let sampler = Sampler::new(sampler, path.build(), *prediction, interval)?;
        let [channels, height, width] = data.shape;
        let shape = [count, channels, height, width];
        let latents = sampler.sample(networks, condition, shape, seed, self.device(), progress)?;
        if !latents.clone().sum().into_scalar::<f32>().is_finite() {
            return Err(Error::Invalid(
                "the samples are not finite: the weights are not, or the guidance is too strong".into(),
            ));
        }
        Ok(latents)
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

/// The keys of two configurations whose values differ and decide what training makes.
fn training_differences(old: &str, new: &str) -> Vec<String> {
    let parse = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>;
    let (Ok(old), Ok(new)) = (parse(old), parse(new)) else { return vec!["config.json".into()] };
    let free = ["sample", "devices", "$schema"];
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).filter(|key| !free.contains(&key.as_str())).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

fn tensor<const D: usize>(array: &Array, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.values.clone(), Shape::from(array.shape.clone())), device)
}
