//! One training stage: what it is, before [`sitting`](super::sitting) runs it.
use super::sitting::Sitting;
use crate::checkpoint::Rollback;
use crate::monitor::TensorBoard;
use crate::network::PredictionNetwork;
use crate::path::is_linear;
use crate::post_train::StageConfig;
use crate::train::{FlowBatch, NonFinitePolicy, Objective};
use crate::{Error, FolderLock, Problem, Result, Stop};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::ModuleDisplay;
use burn::tensor::Device;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One stage of training: data, metrics, checkpoints and resume in one call of [`run`](Self::run).
///
/// Everything it writes goes below its folder: `checkpoints/`, `tensorboard/` and `metrics/`. A stage whose folder holds a
/// complete checkpoint of it goes on there, and equals one that was never stopped, bit for bit. What is not set:
/// [`Objective::default`], the seed of the configuration, the CPU, and the label `train`.
#[derive(Clone)]
pub struct Stage<'a> {
    pub(super) config: &'a StageConfig,
    pub(super) folder: PathBuf,
    pub(super) objective: Objective,
    pub(super) seed: u64,
    pub(super) devices: Vec<Device>,
    pub(super) label: String,
    pub(super) until: Option<usize>,
    pub(super) texts: Vec<Text>,
    pub(super) made_of: BTreeMap<String, Value>,
    pub(super) accepted: BTreeSet<String>,
    pub(super) goes_on: bool,
    pub(super) stop: Stop,
    pub(super) item_name: Option<ItemName>,
    pub(super) waits: bool,
}

/// What a training item is called, by its index.
pub(super) type ItemName = Arc<dyn Fn(usize) -> String + Send + Sync>;

/// A text for TensorBoard.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub tag: String,
    pub markdown: String,
}

/// What a stage made.
#[derive(Debug)]
pub struct Trained<N> {
    /// The averaged weights: what to sample with, and what the papers publish. Without autodiff. Adapters are beside the frozen
    /// weights: [`merged`](crate::adapter::merged) adds them.
    pub ema: N,
    /// The weights the optimizer moved. Without autodiff, and with adapters as `ema`.
    pub raw: N,
    /// The time of the steps this process ran.
    pub time: Duration,
    /// The steps this process ran.
    pub steps: usize,
    /// The step that was reached, counted over all processes.
    pub reached: usize,
    /// Whether the stage is at its end: its last step, or the one at which its early stopping ended it.
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
            until: None,
            texts: Vec::new(),
            made_of: BTreeMap::new(),
            accepted: BTreeSet::new(),
            goes_on: false,
            stop: Stop::new(),
            item_name: None,
            waits: false,
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

    /// Ends after this step, to go on another day; the learning rate still follows all steps.
    pub fn until(self, step: usize) -> Self {
        Self { until: Some(step), ..self }
    }

    /// Lets another thread ask for an end: the step in work is finished and saved.
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// Something else that the weights are a function of: fingerprints of the data, of the first weights. Checkpoints keep
    /// it, and a stage of which it differs does not go on from them.
    pub fn made_of(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.made_of.insert(name.into(), value.into());
        self
    }

    /// Goes on though what was given to [`made_of`](Self::made_of) under this name has changed, with a warning: the training
    /// is then no longer one that can be repeated. Checkpoints keep what changed, and after which step.
    pub fn accepting(mut self, name: impl Into<String>) -> Self {
        self.accepted.insert(name.into());
        self
    }

    /// Whether the network that it is given says nothing, so that to find no checkpoint is an error.
    #[cfg(feature = "experiment")]
    pub(crate) fn going_on(self, goes_on: bool) -> Self {
        Self { goes_on, ..self }
    }

    /// Whether to wait for another process that trains in the folder, rather than to refuse: it may be making the same.
    pub fn waiting(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// What a training item is called, by its index, for messages about a batch.
    pub fn item_names(self, name: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        Self { item_name: Some(Arc::new(name)), ..self }
    }

    /// Shows a Markdown text in TensorBoard beside the stage's own configuration.
    pub fn text(mut self, tag: impl Into<String>, markdown: impl Into<String>) -> Self {
        self.texts.push(Text { tag: tag.into(), markdown: markdown.into() });
        self
    }

    /// Everything that keeps the stage from running, with keys of its configuration.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let Self { config, devices, .. } = self;
        let mut problems = config.problems_on("", is_linear(self.objective.path.as_ref()));
        Problem::unless(&mut problems, !devices.is_empty(), "", "devices", devices.len(), "must be at least one");
        problems.extend(config.misfit_of_devices("precision", devices));
        let (size, count, times) = (config.batch_size, devices.len(), config.accumulation);
        let divides = count * times == 0 || size.is_multiple_of(count * times);
        let must = format!("must divide over {count} device(s) × {times} accumulated");
        Problem::unless(&mut problems, divides, "", "batch_size", size, must);
        let until = self.until.unwrap_or(1);
        Problem::unless(&mut problems, until > 0, "", "until", until, "must be at least 1");
        problems
    }

    /// Trains `network`, built on the first device with autodiff, or goes on from the newest checkpoint.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem of the configuration, a batch that does not divide over devices and accumulation
    /// or is larger than the data set among them; [`Error::InUse`] if another process trains in the folder; [`Error::Io`] if it
    /// cannot be written; [`Error::OtherTraining`] or [`Error::Damaged`] for checkpoints to go on from that are not of this
    /// stage or not whole; [`Error::Stopped`] if it was asked to end; [`Error::Training`] if it ended otherwise before its
    /// last step.
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
        let _hearing = self.stop.hear();
        let told = |by: &str| crate::monitor::warn(&format!("{}: waiting for {by}, which makes the same", self.label));
        let lock = FolderLock::wait(&self.folder, told, || self.waits && self.stop.reason().is_none());
        let _lock = lock.map_err(|error| match (&error, self.stop.reason()) {
            (Error::InUse { .. }, Some(reason)) if self.waits => {
                Error::Stopped { what: self.label.clone(), reason, at: "while another process made the same".into() }
            }
            _ => error,
        })?;
        let (train, held_out): (Arc<dyn Dataset<I>>, Arc<dyn Dataset<I>>) = (Arc::new(train), Arc::new(held_out));
        let mut rollbacks = Vec::new();
        let returns = matches!(self.config.on_non_finite, NonFinitePolicy::Rollback { .. });
        let mut network = Some(network);
        loop {
            // Only a stage that may return to its beginning needs the first weights again.
            let first = if returns { network.clone() } else { network.take() };
            let Some(first) = first else { return Err(Error::Training("no weights to begin with".into())) };
            let sitting = Sitting { stage: self, rollbacks: rollbacks.clone() };
            match sitting.run(first, train.clone(), held_out.clone(), batcher.clone())? {
                super::sitting::Ended::Trained(trained) => return Ok(*trained),
                super::sitting::Ended::Rollback(all) => {
                    if let Some(Rollback { from, to }) = all.last() {
                        let label = &self.label;
                        crate::monitor::warn(&format!("{label}: back from step {from} to step {to}, with other draws"));
                    }
                    rollbacks = all;
                }
            }
        }
    }
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, folder, seed, devices, label, until, .. } = self;
        let mut debug = f.debug_struct("Stage");
        debug.field("config", config).field("folder", folder).field("seed", seed).field("devices", devices);
        debug.field("label", label).field("until", until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
