//! Every arm × sampler × budget × seed of a table, one file per cell.
//!
//! All arms of a seed start from the same weights, see the same data, noise and timestep draws, and are sampled from the
//! same noise: differences between them are the arms' own. A cell that is on disk is not computed again, and a
//! training goes on at its last checkpoint, so a run can be killed and started again at any time.
//!
//! ```text
//! arms/mixflow-gamma-0.1-3f2a…/seed-0/   ema.bpk, trained.json, metrics, TensorBoard events
//! arms/mixflow-gamma-0.1-3f2a…/seed-0/cells/euler-10-91bc….json
//! results.json  table.md  curves-*.svg
//! ```
mod curves;
mod exact;
mod markdown;
mod results;

pub use results::{Results, Row};

use super::comparison::metrics;
use super::files::{create, hash, pretty, read, slug, write};
use super::{Comparison, Experiment, PostTraining, Setting, is_pretrained, save, weights_file};
use crate::data::DataConfig;
use crate::experiment::config::{AblationConfig, AblationSampler, Arm, ArmWeights, Reference};
use crate::models::Network;
use crate::sample::SamplerConfig;
use crate::{Error, Result};
use exact::ExactField;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// An ablation opened in its folder.
pub struct Ablation {
    config: AblationConfig,
    arms: Vec<Arm>,
    /// What pretraining sees.
    experiment: Experiment,
    /// What the arms are trained on and compared with.
    of_arms: Experiment,
    folder: PathBuf,
    cache: PathBuf,
}

/// One arm at one seed: its training and all of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    /// Number of the arm, in the order of the table.
    pub arm: usize,
    /// The seed.
    pub seed: u64,
}

/// A cell of the table, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    arm: String,
    seed: u64,
    sampler: String,
    evaluations: usize,
    pub(super) steps: usize,
    /// By the name of the metric.
    pub(super) distances: BTreeMap<String, f64>,
    /// The time that sampling and measuring took.
    seconds: f64,
}

/// What is kept of a training beside its weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Training {
    /// Steps and seconds of the last process that trained.
    steps: usize,
    seconds: f64,
}

/// A cell to be: its sampler, its budget, and how it is sampled.
struct Planned<'a> {
    sampler: &'a AblationSampler,
    evaluations: usize,
    config: SamplerConfig,
}

impl Ablation {
    /// Loads the data and opens the device. Results go below `folder`, pretrained weights below `cache`.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem, [`Error::Device`] without the device, [`Error::Io`] if a folder cannot
    /// be made.
    pub fn open(config: AblationConfig, folder: &Path, cache: &Path) -> Result<Self> {
        Error::if_any(config.problems())?;
        let setting = Setting::from(&config);
        let cache = setting.cache_folder(cache);
        let experiment = Experiment::new(setting, config.device.open()?)?;
        let of_arms = match config.reference {
            Reference::HeldOut => experiment.clone(),
            Reference::SetAside => experiment.set_aside()?,
        };
        create(folder)?;
        write(&folder.join("config.json"), &pretty(&config)?)?;
        let arms = config.arms();
        Ok(Self { config, arms, experiment, of_arms, folder: folder.to_path_buf(), cache })
    }

    /// The setting with all of its data.
    pub(super) fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The steps of the first sampler at each budget that it can spend.
    pub fn steps(&self) -> Vec<usize> {
        let config = &self.config;
        let at = |n: &usize| Some(config.samplers.first()?.with_evaluations(*n, config.batch_size)?.steps);
        config.evaluations.iter().filter_map(at).collect()
    }

    /// The names of the distances.
    pub fn metrics(&self) -> Vec<&'static str> {
        metrics(&self.config.data).iter().map(|metric| metric.name).collect()
    }

    /// The configuration.
    pub fn config(&self) -> &AblationConfig {
        &self.config
    }

    /// The arms, in the order of the table.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// Every job, seed by seed, so that a stopped run has whole seeds.
    pub fn jobs(&self) -> Vec<Job> {
        let of = |&seed: &u64| (0..self.arms.len()).map(move |arm| Job { arm, seed });
        self.config.seeds.iter().flat_map(of).collect()
    }

    /// What a job has yet to do, in network evaluations; a training step counts as three per sample,
    /// more with a rollout or anti-drift. 0 once it is done.
    pub fn work(&self, job: Job) -> f64 {
        let (arm, samples) = (&self.arms[job.arm], self.config.samples);
        let missing = self.plan(arm).into_iter().filter(|planned| self.cell(job, planned).is_none());
        let sampling: usize = missing.map(|planned| planned.evaluations * samples).sum();
        let trains = sampling > 0 && arm.weights == ArmWeights::PostTrained && !is_pretrained(&self.job_folder(job));
        let training = if trains { arm.stage.evaluations() } else { 0 };
        (sampling + training) as f64
    }

    /// What pretraining has yet to do, in the same units.
    pub fn pretraining_work(&self) -> f64 {
        let done = is_pretrained(&self.cache) || !self.needs_weights();
        if done { 0.0 } else { self.config.pretrain.evaluations() as f64 }
    }

    fn needs_weights(&self) -> bool {
        self.arms.iter().any(|arm| arm.weights != ArmWeights::Exact)
    }

    /// The pretrained weights, trained if they are not in the cache; none if no arm needs them.
    ///
    /// # Errors
    /// As [`Experiment::pretrain`].
    pub fn pretrain(&self) -> Result<Option<Network>> {
        if self.needs_weights() { self.experiment.pretrain(&self.cache).map(Some) } else { Ok(None) }
    }

    /// Trains the arm unless that is done, and samples and measures every cell that is missing.
    ///
    /// # Errors
    /// As [`Experiment::post_train`] and [`Comparison::sample`]; [`Error::Io`] if a file cannot be written.
    pub fn run(&self, job: Job) -> Result<()> {
        if self.work(job) == 0.0 {
            return Ok(());
        }
        let (arm, folder) = (&self.arms[job.arm], self.job_folder(job));
        create(&folder.join("cells"))?;
        let weights = match arm.weights {
            ArmWeights::Exact => None,
            ArmWeights::Pretrained => self.pretrain()?,
            ArmWeights::PostTrained => Some(self.post_train(job, &folder)?),
        };
        let comparison = self.comparison()?;
        for planned in self.plan(arm) {
            if self.cell(job, &planned).is_some() {
                continue;
            }
            let started = Instant::now();
            let (config, samples) = (&planned.config, self.config.samples);
            let values = match (&weights, &self.config.data) {
                (Some(network), _) => comparison.sample(network, config, job.seed, samples)?,
                (None, DataConfig::Ring(ring)) => {
                    let field = ExactField::new(ring, &arm.stage.strategy);
                    comparison.sample_field(&field, config, job.seed, samples)?
                }
                (None, _) => return Err(Error::Invalid("an exact field is known only for a ring".into())),
            };
            let distances = comparison.distances(&values)?;
            let cell = Cell {
                arm: arm.name.clone(),
                seed: job.seed,
                sampler: planned.sampler.name.clone(),
                evaluations: planned.evaluations,
                steps: config.steps,
                distances: comparison.metrics().iter().map(|m| m.name.to_string()).zip(distances).collect(),
                seconds: started.elapsed().as_secs_f64(),
            };
            write(&self.cell_file(job, &planned), &pretty(&cell)?)?;
        }
        Ok(())
    }

    fn comparison(&self) -> Result<Comparison<'_>> {
        Comparison::new(&self.of_arms, self.config.feature_seed)
    }

    fn post_train(&self, job: Job, folder: &Path) -> Result<Network> {
        let file = weights_file(folder);
        if is_pretrained(folder) {
            return self.experiment.load(&file);
        }
        let arm = &self.arms[job.arm];
        let start = self.experiment.pretrain(&self.cache)?;
        let label = format!("{} seed {}", arm.name, job.seed);
        let what = PostTraining { stage: &arm.stage, seed: job.seed, label: &label };
        let trained = self.of_arms.post_train(&start, folder, &what)?;
        let training = Training { steps: trained.steps, seconds: trained.time.as_secs_f64() };
        write(&folder.join("trained.json"), &pretty(&training)?)?;
        save(&trained.ema, &file)?;
        // The weights are safe; the optimizer's state is several times their size.
        let checkpoints = folder.join("checkpoints");
        std::fs::remove_dir_all(&checkpoints).map_err(|e| Error::io(&checkpoints, e))?;
        Ok(trained.ema)
    }

    /// The cells of an arm that the samplers' steps can make.
    fn plan(&self, arm: &Arm) -> Vec<Planned<'_>> {
        let samplers = self.config.samplers.iter().filter(|sampler| sampler.samples(&arm.entry));
        let cells = samplers.flat_map(|sampler| self.config.evaluations.iter().map(move |n| (sampler, *n)));
        let planned = |(sampler, evaluations): (&'_ AblationSampler, usize)| {
            let config = sampler.with_evaluations(evaluations, self.config.batch_size)?;
            Some((evaluations, config))
        };
        cells
            .filter_map(|(sampler, n)| {
                let (evaluations, config) = planned((sampler, n))?;
                Some(Planned { sampler, evaluations, config })
            })
            .collect()
    }

    /// The text that a cell or a training is a function of; arms that differ in name only share nothing else.
    fn arm_made_of(&self, arm: &Arm) -> String {
        let made_of = self.experiment.setting.made_of();
        match self.config.reference {
            Reference::HeldOut => serde_json::json!([made_of, arm.weights, arm.stage]),
            reference => serde_json::json!([made_of, arm.weights, arm.stage, reference]),
        }
        .to_string()
    }

    fn job_folder(&self, job: Job) -> PathBuf {
        let arm = &self.arms[job.arm];
        let name = format!("{}-{}", slug(&arm.name), &hash(&self.arm_made_of(arm))[..8]);
        self.folder.join("arms").join(name).join(format!("seed-{}", job.seed))
    }

    fn cell_file(&self, job: Job, planned: &Planned<'_>) -> PathBuf {
        let AblationConfig { samples, feature_seed, .. } = &self.config;
        let made_of = serde_json::json!([planned.config, samples, feature_seed]).to_string();
        let (name, evaluations) = (slug(&planned.sampler.name), planned.evaluations);
        self.job_folder(job).join("cells").join(format!("{name}-{evaluations}-{}.json", &hash(&made_of)[..8]))
    }

    fn cell(&self, job: Job, planned: &Planned<'_>) -> Option<Cell> {
        read(&self.cell_file(job, planned))
    }

    /// All cells of a job; none until every one of them is finished.
    pub(super) fn finished(&self, job: Job) -> Option<Vec<Cell>> {
        self.plan(&self.arms[job.arm]).iter().map(|planned| self.cell(job, planned)).collect()
    }

    /// The finished cells of a job.
    fn cells(&self, job: Job) -> Vec<Cell> {
        self.plan(&self.arms[job.arm]).iter().filter_map(|planned| self.cell(job, planned)).collect()
    }

    /// Milliseconds per training step of a job; none if it does not train or has not.
    fn milliseconds_per_step(&self, job: Job) -> Option<f64> {
        let training: Training = read(&self.job_folder(job).join("trained.json"))?;
        (training.steps > 0).then(|| training.seconds * 1e3 / training.steps as f64)
    }

    /// Every distance between real samples: training data and those that arms are compared with, at most as many as a cell has.
    ///
    /// # Errors
    /// As [`Comparison::floor`].
    pub fn floors(&self) -> Result<Vec<(&'static str, f64)>> {
        let comparison = self.comparison()?;
        let distances = comparison.floor(self.config.samples)?;
        Ok(comparison.metrics().iter().map(|metric| metric.name).zip(distances).collect())
    }

    /// The table of all cells that are there.
    ///
    /// # Errors
    /// As [`Comparison::floor`].
    pub fn results(&self) -> Result<Results> {
        let comparison = self.comparison()?;
        Results::new(self, &comparison)
    }

    /// Writes `results.json`, `table.md` and the curves; returns the table.
    ///
    /// # Errors
    /// As [`results`](Self::results); [`Error::Io`] if a file cannot be written.
    pub fn write_results(&self) -> Result<String> {
        let results = self.results()?;
        write(&self.folder.join("results.json"), &pretty(&results)?)?;
        let text = results.markdown();
        write(&self.folder.join("table.md"), &text)?;
        for (name, svg) in curves::draw(&results)? {
            write(&self.folder.join(name), &svg)?;
        }
        Ok(text)
    }
}
