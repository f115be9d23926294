//! Every arm × sampler × budget × seed of a table, one file per cell.
//!
//! All arms of a seed start from the same weights, see the same data, noise and timestep draws, and are sampled from the
//! same noise: differences between them are the arms' own. A cell that is on disk is not computed again, and a
//! training goes on at its last checkpoint, so a run can be killed and started again at any time.
//!
//! ```text
//! arms/mixflow-gamma-0.1-3f2a…/seed-0/   ema.bpk, trained.json, metrics, TensorBoard events
//! arms/mixflow-gamma-0.1-3f2a…/seed-0/cells/euler-10-91bc….json, and its first samples
//! results.json  table.md  curves-*.{png,svg}  samples.png
//! ```
mod best_sampler;
mod cell;
mod exact;
mod markdown;
mod parts;
mod pictures;
mod results;
mod work;

pub(super) use pictures::save as save_chart;
pub use results::{ComparisonResults, Floor, ResultRow, TrainingTime};

use super::Experiment;
use super::cell_gfid::CellGfid;
use super::config::{Arm, ArmWeights, ExperimentConfig, GfidConfig, NO_FIXED_STEPS, Reference};
use super::distances::{Distances, most_for_pairs};
use super::files::{create, hash, pretty, read, slug, write};
use super::generate::Drawn;
use super::kept_weights::{has_weights, save, weights_file};
use super::made_of;
use super::opened::{Training, not_there, stage_seed};
use crate::adapter::merged;
use crate::checkpoint::{CHECKPOINTS, newest_step};
use crate::data::{DataSplit, Form};
use crate::models::Network;
use crate::post_train::DeviceName;
use crate::train::ema;
use crate::{Error, Problem, Result, Stop};
pub(super) use cell::Cell;
use cell::Planned;
pub(super) use exact::ExactField;
use parts::{Measured, Parts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
pub(super) use work::Work;

/// The table of an experiment, opened in its folder.
#[derive(Debug)]
pub struct Comparison {
    experiment: Experiment,
    arms: Vec<Arm>,
    /// What the arms are trained on and compared with.
    data: DataSplit,
    /// What the weights of `start` are a function of.
    start: String,
    /// What a gFID is a function of beside the samples.
    gfid: Option<String>,
    /// What a weak network is, by its bytes.
    weak: Option<Value>,
    folder: PathBuf,
}

/// One arm at one seed: its training and all of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    /// Number of the arm, in the order of the table.
    pub arm: usize,
    /// The seed.
    pub seed: u64,
}

/// Held-out items that are too few to compare with.
pub(super) fn too_few_held_out(data: &DataSplit) -> Option<Problem> {
    let count = data.held_out.labels().len();
    let message = format!(": leaves {count} item(s) to compare with: there must be two");
    (count < 2).then(|| Problem { path: "data.held_out".into(), message })
}

/// The names of two arms that are the same, if there are some.
pub(super) fn alike(arms: &[Arm]) -> Option<(&str, &str)> {
    let same = |a: &Arm, b: &Arm| (a.weights, &a.stage) == (b.weights, &b.stage);
    let before = |i: usize| arms[..i].iter().find(|other| same(other, &arms[i]));
    (0..arms.len()).find_map(|i| Some((before(i)?.name.as_str(), arms[i].name.as_str())))
}

/// Removes the checkpoints of a training whose weights are safe: the optimizer's state is several times their size.
fn remove_checkpoints(folder: &Path) -> Result<()> {
    crate::storage::remove_folder(&folder.join(CHECKPOINTS))
}

/// What is kept of a training beside its weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Trained {
    /// Steps and seconds of the last process that trained.
    steps: usize,
    seconds: f64,
}

impl Comparison {
    /// The table of `experiment`; its files go below `folder`, which keeps the configuration.
    ///
    /// # Errors
    /// [`Error::Config`] for two arms that are the same, or a batch larger than the data; [`Error::Invalid`] while γ is still
    /// to be chosen, if the folder holds the results of another configuration, or for items that cannot be used;
    /// [`Error::OtherData`] if it holds those of other data; for a gFID those of loading Inception, what is known of its
    /// reference, and the decoder; [`Error::Io`] if a folder cannot be made.
    pub fn open(experiment: Experiment, folder: &Path) -> Result<Self> {
        Self::open_and(experiment, folder, super::claim::folder)
    }

    /// The same for a process that does some of its jobs, on other devices than the folder's configuration names, which stays
    /// as it is.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_work(experiment: Experiment, folder: &Path) -> Result<Self> {
        Self::open_and(experiment, folder, super::claim::check)
    }

    fn open_and(
        experiment: Experiment,
        folder: &Path,
        claim: impl Fn(&Path, &ExperimentConfig) -> Result<()>,
    ) -> Result<Self> {
        let config = experiment.config();
        if config.gamma_is_auto() {
            return Err(Error::Invalid(
                "post_train.strategy.gamma = \"auto\": must be chosen before arms are compared".into(),
            ));
        }
        let arms = config.arms();
        if let Some((one, other)) = alike(&arms) {
            let message =
                format!(": `{one}` and `{other}` are the same; name a strategy in `post_train`, or other arms");
            return Err(Error::Config(vec![Problem { path: "compare.arms".into(), message }]));
        }
        let data = match config.compare.reference {
            Reference::HeldOut => experiment.data().clone(),
            Reference::SetAside => experiment.data().set_aside()?,
            Reference::Training => experiment.data().beside_itself(),
        };
        let mut problems = Vec::new();
        let adaptive = config.samplers().iter().any(|sampler| sampler.with_steps(2, 1).evaluations().is_none());
        if adaptive {
            let message = format!("{NO_FIXED_STEPS}; name others in `compare.samplers`");
            problems.push(Problem { path: "sample.sampler.solver".into(), message });
        }
        problems.extend(too_few_held_out(&data));
        problems.extend(not_there(config.compare.gfid.iter().flat_map(GfidConfig::files)));
        Error::if_any(problems)?;
        let trained = arms.iter().find(|arm| arm.weights == ArmWeights::PostTrained);
        Error::if_any(
            trained.and_then(|arm| experiment.batch_misfit("post_train", &arm.stage, &data)).into_iter().collect(),
        )?;
        experiment.verify()?;
        create(folder)?;
        claim(folder, config)?;
        experiment.claim_data(folder)?;
        let start = experiment.start_made_of()?;
        let gfid = experiment.config().compare.gfid.as_ref();
        let gfid = gfid.map(|gfid| CellGfid::made_of(&experiment, gfid)).transpose()?;
        let weak = experiment.config().sample.weak.as_ref();
        let cache = Some(experiment.cache());
        let weak = weak.map(|weak| made_of::weighted(json!(weak.network), &weak.weights, cache)).transpose()?;
        Ok(Self { arms, data, start, gfid, weak, folder: folder.to_path_buf(), experiment })
    }

    /// The experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    fn config(&self) -> &ExperimentConfig {
        self.experiment.config()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The steps of the first sampler at each budget that it can spend.
    pub(super) fn steps(&self) -> Vec<usize> {
        let (compare, sampler) = (&self.config().compare, self.config().samplers().into_iter().next());
        let at = |n: &usize| Some(sampler.as_ref()?.with_evaluations(*n, compare.batch_size)?.steps);
        compare.evaluations.iter().filter_map(at).collect()
    }

    /// The names of the distances.
    pub fn metrics(&self) -> Vec<&'static str> {
        self.config().metrics().iter().map(|metric| metric.name).collect()
    }

    /// The arms, in the order of the table.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// The same comparison, whose trainings end after the step they are in, saved, when `stop` asks for it.
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { experiment: self.experiment.stopped_by(stop), ..self }
    }

    /// Whether a job can be done on `devices` alone, before anything is pretrained for it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what does not fit, and what gives a job all devices.
    pub fn check_jobs_on(&self, devices: &[DeviceName]) -> Result<()> {
        if devices == self.config().devices {
            return Ok(());
        }
        let trained = self.arms.iter().filter(|arm| arm.weights == ArmWeights::PostTrained);
        let stages: Vec<_> = trained.map(|arm| &arm.stage).collect();
        self.experiment.fits_on(devices, &stages, &self.data).map_err(|error| {
            let names: Vec<&str> = devices.iter().map(|device| device.0.as_str()).collect();
            Error::Invalid(format!(
                "each arm is done on one of the devices, and {} alone will not do: {error}\n`compare.workers` = 1 gives each \
                 arm all devices",
                names.join(", ")
            ))
        })
    }

    /// Whether any job trains.
    pub fn trains(&self) -> bool {
        self.arms.iter().any(|arm| arm.weights == ArmWeights::PostTrained)
    }

    /// Every job, seed by seed, so that a stopped run has whole seeds.
    pub fn jobs(&self) -> Vec<Job> {
        let of = |&seed: &u64| (0..self.arms.len()).map(move |arm| Job { arm, seed });
        self.config().compare.seeds.iter().flat_map(of).collect()
    }

    /// What a job has yet to do, in network evaluations; a training step counts as three per sample,
    /// more with a rollout or anti-drift. 0 once it is done.
    pub fn work(&self, job: Job) -> f64 {
        self.work_left(job).all()
    }

    pub(super) fn work_left(&self, job: Job) -> Work {
        let arm = &self.arms[job.arm];
        let missing = self.plan(job).into_iter().filter(|planned| self.cell(job, planned).is_none());
        let held_out = self.data.held_out.labels().len();
        let cells = missing.map(|planned| Work::of_cell(self.config(), &planned, held_out));
        let cells = cells.fold(Work::default(), Work::plus);
        let trains =
            cells.sampling > 0.0 && arm.weights == ArmWeights::PostTrained && !has_weights(&self.job_folder(job));
        let training = if trains { arm.stage.evaluations() as f64 * self.untrained(job) } else { 0.0 };
        cells.plus(Work::trained(training))
    }

    /// The part of the steps of a training that its newest checkpoint has not seen.
    fn untrained(&self, job: Job) -> f64 {
        let stage = &self.arms[job.arm].stage;
        let seen = newest_step(&self.job_folder(job).join(CHECKPOINTS)).min(stage.steps);
        1.0 - seen as f64 / stage.steps.max(1) as f64
    }

    /// Trains the arm unless that is done, and samples and measures every cell that is missing.
    ///
    /// # Errors
    /// As [`Stage::run`](crate::post_train::Stage::run) and [`Sampler::sample`](crate::sample::Sampler::sample);
    /// [`Error::Io`] if a file cannot be written.
    pub fn run(&self, job: Job) -> Result<()> {
        let (arm, folder) = (&self.arms[job.arm], self.job_folder(job));
        let missing: Vec<Planned> =
            self.plan(job).into_iter().filter(|planned| self.cell(job, planned).is_none()).collect();
        let files: Vec<PathBuf> = missing.iter().map(|planned| self.cell_file(job, planned)).collect();
        parts::sweep(&folder.join("cells"), &files)?;
        if missing.is_empty() {
            return Ok(());
        }
        create(&folder.join("cells"))?;
        let network = match arm.weights {
            ArmWeights::Exact => None,
            ArmWeights::Start => Some(self.experiment.start()?.0),
            ArmWeights::PostTrained => Some(self.post_trained(job)?),
        };
        let distances = Distances::new(&self.experiment, &self.data)?;
        for (i, planned) in missing.iter().enumerate() {
            self.fill(job, planned, network.as_ref(), &distances)?;
            parts::sweep(&folder.join("cells"), &files[i + 1..])?;
        }
        self.show(job)
    }

    /// Samples and measures one cell.
    fn fill(&self, job: Job, planned: &Planned, network: Option<&Network>, distances: &Distances<'_>) -> Result<()> {
        let started = Instant::now();
        let (arm, experiment) = (&self.arms[job.arm], &self.experiment);
        let only_pictures = planned.sampler.only_pictures;
        let count = if only_pictures { cell::SHOWN.min(distances.samples()) } else { distances.samples() };
        let (file, drawn) = (self.cell_file(job, planned), Drawn { count, seed: job.seed });
        let gfid = if only_pictures { None } else { distances.gfid()? };
        let Measured { values, features } = match (network, self.config().data.ring(), gfid) {
            (Some(network), _, Some(gfid)) => {
                let (sampler, seed) = (&planned.config, job.seed);
                Parts { experiment, distances, gfid, sampler, seed }.draw(network, &file, count)?
            }
            (Some(network), _, None) => {
                let condition = distances.conditions(drawn.seed, 0..drawn.count)?;
                Measured::of(experiment.generate_values(network, &planned.config, &condition, drawn)?)
            }
            (None, Some(ring), _) => {
                let field = ExactField::new(ring, &arm.stage.strategy);
                Measured::of(experiment.integrate(&field, &planned.config, drawn)?)
            }
            (None, None, _) => return Err(Error::Invalid("an exact field is known only for a ring".into())),
        };
        let mut found = if only_pictures { Vec::new() } else { distances.own(&values)? };
        if let Some(gfid) = gfid {
            found.push(gfid.distance(&features)?);
        }
        let cell = Cell {
            arm: arm.name.clone(),
            seed: job.seed,
            sampler: planned.sampler.name.clone(),
            evaluations: planned.evaluations,
            steps: planned.config.steps,
            distances: distances.metrics().iter().map(|m| m.name.to_string()).zip(found).collect(),
            seconds: started.elapsed().as_secs_f64(),
        };
        cell::keep_samples(&file, &values, self.data.shape)?;
        write(&file, &pretty(&cell)?)
    }

    /// The average of an arm's training, trained if it is not there.
    pub(super) fn post_trained(&self, job: Job) -> Result<Network> {
        let (folder, arm) = (self.job_folder(job), &self.arms[job.arm]);
        let file = weights_file(&folder);
        if has_weights(&folder) {
            let network = self.experiment.load(&file)?;
            // Those of a process that was killed after it kept the weights.
            remove_checkpoints(&folder)?;
            return Ok(network);
        }
        create(&folder)?;
        let (start, _) = self.experiment.start()?;
        let label = format!("{} seed {}", arm.name, job.seed);
        let seed = stage_seed("post_train", arm.stage.seed, job.seed);
        let (stage, data) = (&arm.stage, &self.data);
        let what = Training {
            stage,
            data,
            seed,
            folder: &folder,
            label: &label,
            until: None,
            start: self.experiment.start_digest()?,
            waits: true,
        };
        let network = ema::load(self.experiment.init(0)?, &start);
        drop(start);
        let trained = self.experiment.train(network, &what)?;
        let kept = Trained { steps: trained.steps, seconds: trained.time.as_secs_f64() };
        write(&folder.join("trained.json"), &pretty(&kept)?)?;
        let ema = trained.ema;
        drop(trained.raw);
        if let Some(adapter) = &stage.adapter {
            ema.export_adapter(adapter, &folder.join("adapter"))?;
        }
        let ema = merged(ema);
        save(&ema, &file)?;
        remove_checkpoints(&folder)?;
        Ok(ema)
    }

    fn plan(&self, job: Job) -> Vec<Planned> {
        work::plan(self.config(), &self.arms[job.arm], job.seed)
    }

    /// The text that a training or a cell is a function of. The name of an arm is no part of it.
    fn arm_made_of(&self, arm: &Arm) -> String {
        let (reference, held_out) = (self.config().compare.reference, self.config().data.without_tolerance());
        json!([self.start, held_out, arm.weights, arm.stage.without_keeping(), reference]).to_string()
    }

    fn job_folder(&self, job: Job) -> PathBuf {
        let arm = &self.arms[job.arm];
        let name = format!("{}-{}", slug(&arm.name), &hash(&self.arm_made_of(arm))[..8]);
        self.folder.join("arms").join(name).join(format!("seed-{}", job.seed))
    }

    fn cell_file(&self, job: Job, planned: &Planned) -> PathBuf {
        let (compare, sample) = (&self.config().compare, &self.config().sample);
        let weak = planned.config.weak_guidance.as_ref().map(|_| (&self.weak, &sample.skipped_layers));
        let own = json!([planned.config, compare.samples, compare.feature_seed, weak]);
        // Where an energy distance would have too much to compare, it is of fewer.
        let (latents, pairs) =
            (self.config().data.form() == Form::Latents, most_for_pairs(self.data.shape.iter().product()));
        let few = latents && compare.samples.min(self.data.held_out.len()) > pairs;
        let own = if few { json!([own, {"pairs": pairs}]) } else { own };
        // A cell of before the table asked for a gFID has none.
        let made_of = match &self.gfid {
            Some(gfid) => json!([own, gfid]),
            None => own,
        };
        let made_of = made_of.to_string();
        let (name, evaluations) = (slug(&planned.sampler.name), planned.evaluations);
        self.job_folder(job).join("cells").join(format!("{name}-{evaluations}-{}.json", &hash(&made_of)[..8]))
    }

    fn cell(&self, job: Job, planned: &Planned) -> Option<Cell> {
        read(&self.cell_file(job, planned))
    }

    /// All cells of a job; none until every one of them is finished.
    pub(super) fn finished(&self, job: Job) -> Option<Vec<Cell>> {
        self.plan(job).iter().map(|planned| self.cell(job, planned)).collect()
    }

    /// The finished cells of a job.
    fn cells(&self, job: Job) -> Vec<Cell> {
        self.plan(job).iter().filter_map(|planned| self.cell(job, planned)).collect()
    }

    /// Milliseconds per training step of a job; none if it does not train or has not.
    fn milliseconds_per_step(&self, job: Job) -> Option<f64> {
        let kept: Trained = read(&self.job_folder(job).join("trained.json"))?;
        (kept.steps > 0).then(|| kept.seconds * 1e3 / kept.steps as f64)
    }

    /// The distances between real samples, training data and those that arms are compared with, by name; as many as a cell
    /// has.
    pub(super) fn floors(&self) -> Result<Vec<(&'static str, f64)>> {
        let distances = Distances::new(&self.experiment, &self.data)?;
        let floor = distances.floor(distances.samples())?;
        Ok(distances.metrics().iter().map(|metric| metric.name).zip(floor).collect())
    }

    /// The table of all cells that are there.
    ///
    /// # Errors
    /// As [`Distances::floor`].
    pub fn results(&self) -> Result<ComparisonResults> {
        ComparisonResults::new(self, &Distances::new(&self.experiment, &self.data)?)
    }

    /// Writes `results.json` and `table.md`; returns what they hold.
    ///
    /// # Errors
    /// As [`results`](Self::results); [`Error::Io`] if a file cannot be written.
    pub fn write_results(&self) -> Result<ComparisonResults> {
        let results = self.results()?;
        write(&self.folder.join("results.json"), &pretty(&results)?)?;
        write(&self.folder.join("table.md"), &results.markdown())?;
        Ok(results)
    }
}
