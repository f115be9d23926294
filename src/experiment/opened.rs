//! A configuration with its devices and data opened: what every command works on.
use super::condition::conditions;
use super::config::{ExperimentConfig, StartConfig};
use super::fits::{self, Purpose};
use super::kept_weights::weights_of_run;
use super::network_misfits::{TextWidths, network_misfits};
use super::progress::{Progress, Silent, Task};
use crate::data::{DataFingerprint, DataSplit, Decoded, Item, ItemBatcher};
use crate::models::NetworkConfig;
use crate::models::{Network, NetworkCondition};
use crate::network::Condition;
use crate::post_train::{DeviceName, Stage, StageConfig, Trained};
use crate::train::FlowBatch;
use crate::{Error, Problem, Result, Stop, digest};
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Device;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// An [`ExperimentConfig`] whose devices and data are open.
#[derive(Debug)]
pub struct Experiment {
    config: ExperimentConfig,
    devices: Vec<Device>,
    data: DataSplit,
    cache: PathBuf,
    progress: Arc<dyn Progress>,
    stop: Stop,
    /// What may have changed since the checkpoints that a post-training goes on from.
    accepts: &'static [&'static str],
    /// Set once a start was left out, as a checkpoint has the weights.
    needs_checkpoint: OnceLock<()>,
    /// Set once every item was read.
    verified: OnceLock<()>,
    fingerprint: OnceLock<DataFingerprint>,
}

/// How the progress lines of a post-training begin.
pub(super) const POST_TRAIN: &str = "post_train";

/// One training of an experiment.
pub(super) struct Training<'a> {
    /// The stage.
    pub stage: &'a StageConfig,
    /// What it is trained and validated on.
    pub data: &'a DataSplit,
    /// The seed of all of its draws.
    pub seed: u64,
    /// Where all of its files go.
    pub folder: &'a Path,
    /// How its progress lines begin.
    pub label: &'a str,
    /// End after this step, to go on another day.
    pub until: Option<usize>,
    /// What the first weights are, for its checkpoints to know.
    pub start: Option<Value>,
    /// Whether to wait for another process that makes the same.
    pub waits: bool,
}

impl Experiment {
    /// Opens the devices, lists the data, and looks whether every file of weights is there. Weights that are made here are
    /// kept below `cache`.
    ///
    /// # Errors
    /// [`Error::Config`] for values that violate a condition, data of another shape than the network reads, or what takes
    /// more memory than this machine has;
    /// [`Error::Device`] for a device this build or machine does not have; [`Error::Io`] for a file that cannot be read; what
    /// opening the data reports.
    pub fn open(config: ExperimentConfig, cache: &Path) -> Result<Self> {
        Self::open_with(config, cache, Arc::new(Silent))
    }

    /// As [`open`](Self::open); `progress` hears how far all that takes long is, from decoding to samples.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(config: ExperimentConfig, cache: &Path, progress: Arc<dyn Progress>) -> Result<Self> {
        Self::open_for(Purpose::Train, config, cache, progress)
    }

    /// As [`open_with`](Self::open_with), to sample from weights that are there: they fit machines on which they could not
    /// have been trained.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_sample(config: ExperimentConfig, cache: &Path, progress: Arc<dyn Progress>) -> Result<Self> {
        Self::open_for(Purpose::Sample, config, cache, progress)
    }

    /// As [`open_to_sample`](Self::open_to_sample), to draw pictures in parts, of which any number fits the memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_draw(config: ExperimentConfig, cache: &Path, progress: Arc<dyn Progress>) -> Result<Self> {
        Self::open_for(Purpose::Draw, config, cache, progress)
    }

    fn open_for(purpose: Purpose, config: ExperimentConfig, cache: &Path, progress: Arc<dyn Progress>) -> Result<Self> {
        Error::if_any(config.problems())?;
        Error::if_any(absent(&config))?;
        let declared = config.data.declared().shape;
        fits::check(&config, declared, purpose)?;
        let devices = config.devices.iter().map(|name| name.open()).collect::<Result<Vec<_>>>()?;
        let mut decoding = None;
        let data = config.data.open_with(&mut |Decoded { done, total }| {
            let task = || Task::begin(progress.as_ref(), "decoding pictures", total as u64);
            decoding.get_or_insert_with(task).at(done as u64);
        });
        drop(decoding);
        let data = data?;
        if declared.is_none() {
            fits::check(&config, Some(data.shape), purpose)?;
        }
        let text = data.null_text.as_ref();
        let text = text.map(|text| TextWidths { context: text.context.shape[1], pooled: text.pooled.shape[0] });
        let stages = config.start.pretrain().map(|stage| ("start.precision", stage)).into_iter();
        let stages = stages.chain([("post_train.precision", &config.post_train)]);
        Error::if_any(stages.filter_map(|(path, stage)| stage.misfit_of_devices(path, &devices)).collect())?;
        let misfits = |path: &str, network: &NetworkConfig| {
            let mut problems = network.problems(path, Some(data.shape), Some(data.classes));
            problems.extend(network_misfits(network, &data.features, text));
            problems
        };
        let mut problems = misfits("network", &config.network);
        let weak = config.sample.weak.iter();
        problems.extend(weak.flat_map(|weak| misfits("sample.weak.network", &weak.network)));
        let (verified, fingerprint) = (OnceLock::new(), OnceLock::new());
        let (cache, stop, needs_checkpoint) = (cache.to_path_buf(), Stop::new(), OnceLock::new());
        let accepts = &[];
        let this =
            Self { config, devices, data, cache, progress, stop, accepts, needs_checkpoint, verified, fingerprint };
        let stages = this.config.start.pretrain().map(|stage| ("start", stage)).into_iter();
        for (path, stage) in stages.chain([("post_train", &this.config.post_train)]) {
            problems.extend(this.batch_misfit(path, stage, &this.data));
        }
        // Times that do not increase show here, and not after the training.
        if let Err(error) = this.sampler(this.config.sample.sampler.clone()) {
            problems.push(Problem { path: "sample.sampler".into(), message: format!(": {error}") });
        }
        Error::if_any(problems)?;
        // Those of sampling are read after training, too late to learn that one cannot be read.
        for (key, file) in weight_files(&this.config) {
            let read = if key.starts_with("sample") { crate::tensor_file::files(&file)? } else { vec![file] };
            for file in read {
                std::fs::File::open(&file).map_err(|e| Error::io(&file, e))?;
            }
        }
        Ok(this)
    }

    /// The same experiment, whose trainings end after the step they are in, saved, when `stop` asks for it.
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// The same experiment, whose post-training goes on though the data are no longer those it began with, as after a file
    /// was lost: its checkpoints keep that.
    pub fn accepting_changed_data(self) -> Self {
        Self { accepts: &["data", "training items", "held-out items"], ..self }
    }

    /// The same, if it is only other bytes in the same files.
    pub fn accepting_changed_contents(self) -> Self {
        Self { accepts: &["data.contents"], ..self }
    }

    /// The configuration.
    pub fn config(&self) -> &ExperimentConfig {
        &self.config
    }

    /// The training and held-out data.
    pub fn data(&self) -> &DataSplit {
        &self.data
    }

    /// Reads every item of the data once, so that a bad file is known before the first step of a training. Files that an
    /// earlier start has read, and that have not changed since, are not read again.
    ///
    /// # Errors
    /// As [`DataSplit::verify`].
    pub fn verify(&self) -> Result<()> {
        if self.verified.get().is_none() {
            let mut reading = Reading::of("reading the data", self.progress.as_ref());
            self.data.verify(Some(&self.cache), &mut |read| reading.at(read))?;
            self.verified.get_or_init(|| ());
        }
        Ok(())
    }

    /// What tells the data from others.
    ///
    /// # Errors
    /// As [`DataSplit::fingerprint`].
    pub(super) fn data_fingerprint(&self) -> Result<&DataFingerprint> {
        if self.fingerprint.get().is_none() {
            let found = self.fingerprint_of(&self.data)?;
            self.fingerprint.get_or_init(|| found);
        }
        self.fingerprint.get().ok_or_else(|| Error::Invalid("the data have no fingerprint".into()))
    }

    /// Keeps in `folder` which data its results are of, and refuses those of others.
    ///
    /// # Errors
    /// [`Error::OtherData`] if they are of others; as [`verify`](Self::verify) and [`DataSplit::fingerprint`].
    pub fn claim_data(&self, folder: &Path) -> Result<()> {
        self.verify()?;
        super::claim::data(folder, self.data_fingerprint()?, !self.accepts.is_empty())
    }

    /// Notes that the next post-training must find a checkpoint.
    pub(super) fn leave_out_start(&self) {
        self.needs_checkpoint.get_or_init(|| ());
    }

    fn fingerprint_of(&self, data: &DataSplit) -> Result<DataFingerprint> {
        let mut reading = Reading::of("hashing the data", self.progress.as_ref());
        data.fingerprint(Some(&self.cache), &mut |read| reading.at(read))
    }

    /// The same experiment with `gamma` where the post-training says `"auto"`.
    pub fn with_gamma(self, gamma: f64) -> Self {
        Self { config: self.config.with_gamma(gamma), ..self }
    }

    /// Where networks sample, and the first of those they train on; without autodiff.
    pub(super) fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// All of them, without autodiff.
    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Who hears how far long tasks are.
    pub(super) fn progress(&self) -> &dyn Progress {
        self.progress.as_ref()
    }

    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// A batch that is larger than the training part of `data`, which may be a part of the data.
    pub(super) fn batch_misfit(&self, path: &str, stage: &StageConfig, data: &DataSplit) -> Option<Problem> {
        self.batch_misfit_on(self.devices.len(), path, stage, data)
    }

    /// The same on so many devices.
    fn batch_misfit_on(&self, devices: usize, path: &str, stage: &StageConfig, data: &DataSplit) -> Option<Problem> {
        let passes = stage.accumulation.max(1) * devices.max(1);
        let items = data.train.len();
        let over = if passes > 1 { format!("over {passes} devices × accumulation ") } else { String::new() };
        let aside = if items < self.data.train.len() { " that are left when some are set aside" } else { "" };
        let must = format!("{over}must be at most {items}, the number of training items{aside}");
        let mut problems = Vec::new();
        Problem::unless(&mut problems, stage.batch_size / passes <= items, path, "batch_size", stage.batch_size, must);
        problems.pop()
    }

    /// Whether it could be opened, and `stage` be trained on `data`, with other devices than the configuration names.
    ///
    /// # Errors
    /// [`Error::Config`] as [`open`](Self::open), devices aside, which are not opened.
    pub(super) fn fits_on(&self, devices: &[DeviceName], stages: &[&StageConfig], data: &DataSplit) -> Result<()> {
        let mut config = self.config.clone();
        config.devices = devices.to_vec();
        Error::if_any(config.problems())?;
        fits::check(&config, Some(self.data.shape), Purpose::Train)?;
        let count = devices.len();
        let start = self.config.start.pretrain().map(|stage| ("start", stage, &self.data)).into_iter();
        let stages = start.chain(stages.iter().map(|stage| ("post_train", *stage, data)));
        Error::if_any(stages.filter_map(|(path, stage, data)| self.batch_misfit_on(count, path, stage, data)).collect())
    }

    /// The network with weights that are a pure function of `seed`, ready to train.
    pub(super) fn init(&self, seed: u64) -> Result<Network> {
        self.config.network.init(seed, &self.device().clone().autodiff())
    }

    /// Items with everything the networks may read beside them.
    pub(super) fn batcher(&self) -> impl Batcher<Item, FlowBatch<4, NetworkCondition>> + Clone + use<> {
        ItemBatcher::new(self.data.shape, conditions(&self.data))
    }

    /// The condition of some items, without what only training reads.
    pub(super) fn condition(&self, items: Vec<Item>) -> NetworkCondition {
        let batch: FlowBatch<4, NetworkCondition> = self.batcher().batch(items, self.device());
        NetworkCondition { features: Vec::new(), ..batch.condition }.to_device(self.device())
    }

    /// Trains `network`, or goes on from the newest checkpoint in the folder.
    pub(super) fn train(&self, network: Network, what: &Training<'_>) -> Result<Trained<Network>> {
        self.verify()?;
        // Burn's dashboard draws next.
        self.progress.pause();
        let data = what.data;
        self.stage(what)?.run(network, data.train.clone(), data.held_out.clone(), self.batcher())
    }

    /// A training, before it begins.
    pub(super) fn stage<'a>(&self, what: &Training<'a>) -> Result<Stage<'a>> {
        let Training { stage, data, seed, folder, label, until, ref start, waits } = *what;
        let objective = self.config.flow.objective(stage.target);
        let mut runner = Stage::new(stage, folder)
            .objective(objective)
            .seed(seed)
            .devices(&self.devices)
            .label(label)
            .text("experiment", format!("```json\n{}\n```", super::files::pretty(&self.config.to_json()?)?));
        // A part of the data, as a table without what is set aside, is not what was looked at before.
        let fingerprint = match std::ptr::eq(data, &self.data) {
            true => serde_json::to_value(self.data_fingerprint()?),
            false => serde_json::to_value(self.fingerprint_of(data)?),
        };
        let fingerprint = fingerprint.map_err(|e| Error::Invalid(e.to_string()))?;
        let set = data.train.clone();
        let names = move |item| set.name(item);
        runner = runner.stopped_by(&self.stop).made_of("data", fingerprint).waiting(waits).item_names(names);
        if let Some(start) = start {
            runner = runner.made_of("start", start.clone());
        }
        if label == POST_TRAIN {
            runner = self.accepts.iter().copied().fold(runner, Stage::accepting);
            runner = runner.going_on(self.needs_checkpoint.get().is_some());
        }
        if let Some(step) = until {
            runner = runner.until(step);
        }
        Ok(runner)
    }
}

/// Reports how many items are read.
pub(super) struct Reading<'a> {
    what: &'static str,
    progress: &'a dyn Progress,
    task: Option<Task<'a>>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(what: &'static str, progress: &'a dyn Progress) -> Self {
        Self { what, progress, task: None }
    }

    pub(super) fn at(&mut self, Decoded { done, total }: Decoded) {
        let begin = || Task::begin(self.progress, self.what, total as u64);
        self.task.get_or_insert_with(begin).at(done as u64);
    }
}

/// Every file of weights that a configuration names, with its key.
fn weight_files(config: &ExperimentConfig) -> Vec<(&'static str, PathBuf)> {
    let sample = &config.sample;
    let start = match &config.start {
        StartConfig::Weights(weights) => {
            let adapters = weights.adapters.iter().map(|adapter| ("start.adapters", adapter.clone()));
            [("start.file", weights.file.clone())].into_iter().chain(adapters).collect()
        }
        StartConfig::Run(run) => vec![("start.folder", weights_of_run(&run.folder))],
        StartConfig::Pretrain(_) | StartConfig::Exact(_) => Vec::new(),
    };
    let weak = sample.weak.as_ref().map(|weak| ("sample.weak.weights.file", weak.weights.file.clone()));
    let decoder = sample.decoder.as_ref().map(|decoder| ("sample.decoder.weights.file", decoder.weights.file.clone()));
    let autoencoder = sample.autoencoder.as_ref();
    let autoencoder = autoencoder.map(|part| ("sample.autoencoder.weights.file", part.weights.file.clone()));
    start.into_iter().chain(weak).chain(decoder).chain(autoencoder).collect()
}

/// Every file and folder that a configuration names and that is not there.
fn absent(config: &ExperimentConfig) -> Vec<Problem> {
    let data = serde_json::to_value(&config.data).unwrap_or_default();
    let names = ["folder", "file", "text", "normalization"].map(|name| (format!("data.{name}"), format!("/{name}")));
    let features = (0..).map(|i| (format!("data.features[{i}]"), format!("/features/{i}")));
    let features = features.take_while(|(_, place)| data.pointer(place).is_some());
    let of_data = names.into_iter().chain(features);
    let of_data = of_data.filter_map(|(key, place)| Some((key, PathBuf::from(data.pointer(&place)?.as_str()?))));
    let weights = weight_files(config).into_iter().map(|(key, path)| (key.to_string(), path));
    not_there(of_data.chain(weights))
}

/// The keys of files and folders that are not there.
pub(super) fn not_there(named: impl IntoIterator<Item = (String, PathBuf)>) -> Vec<Problem> {
    let from = std::env::current_dir().map_or(String::new(), |folder| format!("; paths start at {}", folder.display()));
    let problem = |(key, path): (String, PathBuf)| Problem {
        path: key,
        message: format!(
            "= {:?}: is not there{}",
            path.display().to_string(),
            if path.is_absolute() { "" } else { &from }
        ),
    };
    named.into_iter().filter(|(_, path)| !path.exists()).map(problem).collect()
}

/// A seed of its own for each stage and repetition: without it post-training would replay the draws of pretraining.
pub(super) fn stage_seed(stage: &str, seed: u64, repetition: u64) -> u64 {
    digest::seed(Sha256::digest(format!("{stage} {seed} {repetition}")))
}
