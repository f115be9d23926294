//! Is post-training worth it? An answer for a model, data, a budget of network evaluations and a distance.
//!
//! 1. What costs no training is tried first (`candidates`), by successive halving (`halving`) on training data.
//! 2. Pilots of MixFlow follow, under the best of it and under the user's own way to sample, each beside a control.
//! 3. Held-out data confirm what was chosen, once, with fresh seeds.
//! 4. The answer is in plain words (`verdict`), with sections to paste.
//!
//! Every step is a table as [`Comparison`] fills it, one file a cell, so that an advice that was killed goes on.
mod answer;
mod candidates;
mod change;
mod fitted_grid;
mod halving;
mod measured;
mod minutes;
mod plan;
mod refinement;
mod report;
mod sweep;
mod tables;
mod trained;
mod verdict;

pub use answer::{
    Advice, BudgetAnswer, Choice, Distance, Dropped, Finalist, Gain, OtherChange, PilotOutcome, TrainedOutcome,
};
pub use change::Change;
pub use measured::Measured;

use super::compare::{Comparison, Job, Work};
use super::config::{ArmSampler, ExperimentConfig};
use super::estimate::StepCost;
use super::files::{create, hash, slug};
use super::opened::Experiment;
use super::progress::Progress;
use crate::sample::MOST_STEPS;
use crate::{Error, Problem, Result, Stop};
use candidates::Ground;
use change::Found;
use minutes::Minutes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What an advice is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// Network evaluations per sample; the middle one of `compare.evaluations` if left out.
    pub evaluations: Option<Vec<usize>>,
    /// The name of the distance; that of `gamma_search`, or the first of the data's, if left out.
    pub metric: Option<String>,
    /// How long it may take, pretraining not counted. Above 0.
    pub minutes: f64,
}

/// Does jobs of a table, by [`Comparison::run`] here or in other processes.
pub type RunJobs<'a> = dyn FnMut(&Comparison, &[Job]) -> Result<()> + 'a;

/// An advice, opened in its folder.
pub struct Advisor {
    experiment: Experiment,
    folder: PathBuf,
    progress: Arc<dyn Progress>,
    stop: Stop,
    own: ArmSampler,
    evaluations: Vec<usize>,
    metric: String,
    minutes: f64,
}

impl Advisor {
    /// The advice that `question` asks for; its files go below `folder`. The user's own way to sample is the first of
    /// `compare.samplers`, or that of `sample` where there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a question that has no answer, with what to do; as [`Experiment::open`] and
    /// [`Experiment::claim_data`].
    pub fn open(
        config: ExperimentConfig,
        question: &Question,
        (folder, cache): (&Path, &Path),
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let own = own_sampler(&config)?;
        let evaluations = budgets(&config, &own, question.evaluations.as_deref())?;
        let metric = metric(&config, question.metric.as_deref())?;
        let minutes = question.minutes;
        if !(minutes > 0.0 && minutes.is_finite()) {
            return Err(Error::Invalid(format!("--minutes {minutes}: must be above 0")));
        }
        super::claim::check(folder, &config)?;
        let experiment = Experiment::open_with(config, cache, progress.clone())?;
        Ok(Self {
            experiment,
            folder: folder.to_path_buf(),
            progress,
            stop: Stop::new(),
            own,
            evaluations,
            metric,
            minutes,
        })
    }

    /// The same advice, whose trainings end after the step they are in, saved, when `stop` asks for it.
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { experiment: self.experiment.stopped_by(stop), stop: stop.clone(), ..self }
    }

    /// Measures, chooses, trains and confirms what is not there yet, and writes the answer, which comes back with
    /// its text; `say` hears what is done.
    ///
    /// # Errors
    /// As `run`, [`Comparison::open`] and [`Experiment::start`]; [`Error::Invalid`] where not even the least fits the minutes;
    /// [`Error::Io`] if a file cannot be written.
    pub fn run(&self, run: &mut RunJobs<'_>, say: &mut dyn FnMut(&str)) -> Result<(Advice, String)> {
        create(&self.folder)?;
        super::claim::folder(&self.folder, self.config())?;
        self.experiment.claim_data(&self.folder)?;
        if self.experiment.start_work()? > 0.0 {
            say("pretraining first; its time is not counted");
            self.experiment.start()?;
        }
        let (compare, search) = (&self.config().compare, &self.config().gamma_search);
        let stage = self.config().post_train.without_keeping();
        let asked = serde_json::json!([self.evaluations, self.metric, self.minutes, self.own, compare, search, stage]);
        let key = hash(&asked.to_string());
        let mut minutes = Minutes::open(&self.folder.join(format!("plan-{}.json", &key[..8])), self.minutes);
        minutes.cost(|| self.step_cost())?;
        let guidance = self.own.guidance.clone();
        let (start, data) = (self.experiment.start_made_of()?, self.experiment.data_fingerprint()?);
        let made_of = hash(&serde_json::json!([guidance, start, data]).to_string());
        let file = self.folder.join(format!("measured-{}.json", &made_of[..8]));
        let measured = Measured::of(&self.experiment, guidance, &file)?;
        let swept = self.sweep_all(measured.as_ref(), &mut minutes, run, say)?;
        let mut advice = self.train_and_confirm(swept, &mut minutes, run, say)?;
        (advice.deficit, advice.fitted) = measured.map(|measured| (measured.deficit, measured.grids)).unzip();
        let text = self.markdown(&advice, &minutes);
        self.write(&advice, &text)?;
        Ok((advice, text))
    }

    fn config(&self) -> &ExperimentConfig {
        self.experiment.config()
    }

    fn ground<'a>(&'a self, evaluations: usize, measured: Option<&'a Measured>) -> Ground<'a> {
        let linear = crate::path::is_linear(self.config().flow.path.build().as_ref());
        Ground { own: &self.own, evaluations, linear, shape: self.experiment.data().shape, measured }
    }

    /// What a step and an evaluation cost; where nothing is trained, an evaluation of the exact field.
    fn step_cost(&self) -> Result<StepCost> {
        match self.config().data.ring().filter(|_| self.config().start.is_exact()) {
            None => self.experiment.time_steps(),
            Some(ring) => {
                const COUNT: usize = 2000;
                let (x, started) = (vec![0.1f32; ring.dimension], Instant::now());
                let sum: f32 = (0..COUNT).map(|i| ring.velocity(&x, i as f64 / COUNT as f64, 0.0)[0]).sum();
                std::hint::black_box(sum);
                Ok(StepCost {
                    step: 0.0,
                    evaluation: started.elapsed().as_secs_f64() / COUNT as f64,
                    picture: 0.0,
                    batch: 1,
                })
            }
        }
    }

    /// The finished cells of a table, those that were missing made now.
    fn fill(
        &self,
        table: ExperimentConfig,
        name: &str,
        minutes: &mut Minutes,
        run: &mut RunJobs<'_>,
    ) -> Result<(Comparison, Found)> {
        let experiment = Experiment::open_with(table, self.experiment.cache(), self.progress.clone())?;
        let table = Comparison::open(experiment, &self.folder.join(name))?.stopped_by(&self.stop);
        let jobs = table.jobs();
        let left = jobs.iter().map(|job| table.work_left(*job)).fold(Work::default(), Work::plus);
        let started = Instant::now();
        run(&table, &jobs)?;
        if left.all() > 0.0 {
            minutes.learn(left, started.elapsed().as_secs_f64())?;
        }
        let cells: Option<Vec<_>> = jobs.iter().map(|job| table.finished(*job)).collect();
        let cells = cells.ok_or_else(|| {
            Error::Invalid(format!("{}: a cell is missing; the same command goes on", table.folder().display()))
        })?;
        Ok((table, Found { cells: cells.concat(), metric: self.metric.clone() }))
    }
}

/// The first sampler of the table, which must have fixed steps.
fn own_sampler(config: &ExperimentConfig) -> Result<ArmSampler> {
    let own = config.samplers().into_iter().next();
    let own = own.ok_or_else(|| Error::Invalid("compare.samplers: must name one".into()))?;
    if own.with_steps(2, 1).evaluations().is_none() {
        let message = format!("{}; name another in `compare.samplers`", super::config::NO_FIXED_STEPS);
        return Err(Error::Config(vec![Problem { path: "sample.sampler.solver".into(), message }]));
    }
    Ok(own)
}

/// The budgets that are asked for, which the user's own sampler must be able to spend.
fn budgets(config: &ExperimentConfig, own: &ArmSampler, asked: Option<&[usize]>) -> Result<Vec<usize>> {
    let spends = |n: &usize| own.with_evaluations(*n, 1).is_some();
    if let Some(asked) = asked {
        let mut sorted = asked.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if let Some(wrong) = sorted.iter().find(|n| !(1..=MOST_STEPS).contains(*n)) {
            return Err(Error::Invalid(format!("--evaluations {wrong}: must be from 1 to {MOST_STEPS}")));
        }
        if let Some(wrong) = sorted.iter().find(|n| !spends(n)) {
            let name = &own.name;
            return Err(Error::Invalid(format!(
                "--evaluations {wrong}: the steps of your own sampler, `{name}`, do not make that many; name another number, or \
                 another sampler first in `compare.samplers`"
            )));
        }
        return Ok(sorted);
    }
    let known: Vec<usize> = own.budgets(&config.compare.evaluations).iter().copied().filter(spends).collect();
    let middle = known.get(known.len().saturating_sub(1) / 2).copied();
    middle.map(|n| vec![n]).ok_or_else(|| {
        Error::Invalid(format!("`{}` can spend none of compare.evaluations: give --evaluations", own.name))
    })
}

/// The name of the distance.
fn metric(config: &ExperimentConfig, asked: Option<&str>) -> Result<String> {
    let known: Vec<&str> = config.metrics().iter().map(|metric| metric.name).collect();
    let key = if asked.is_some() { "--metric" } else { "gamma_search.distance" };
    match asked.or(config.gamma_search.distance.as_deref()) {
        None => Ok(known[0].into()),
        Some(name) if known.contains(&name) => Ok(name.into()),
        Some(name) => Err(Error::Invalid(format!("{key} {name}: must be one of {}", known.join(", ")))),
    }
}

/// The stem of files about a budget.
fn stem(name: &str, evaluations: usize) -> String {
    slug(&format!("{name}-{evaluations}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(compare: &str) -> ExperimentConfig {
        let text = format!(
            r#"{{"data": {{"kind": "ring"}}, "network": {{"kind": "residual_mlp", "channels": 2, "size": 1}},
                "compare": {compare}}}"#
        );
        ExperimentConfig::parse(&text).unwrap()
    }

    #[test]
    fn the_budget_is_one_that_the_own_sampler_can_spend() {
        let heun = config(r#"{"samplers": [{"name": "Heun", "solver": "heun"}], "evaluations": [5, 10, 20, 50]}"#);
        let own = own_sampler(&heun).unwrap();
        assert_eq!(budgets(&heun, &own, None).unwrap(), [20]);
        assert_eq!(budgets(&heun, &own, Some(&[10, 4, 10])).unwrap(), [4, 10]);
        let error = budgets(&heun, &own, Some(&[5])).unwrap_err().to_string();
        assert!(error.contains("--evaluations 5") && error.contains("`Heun`"), "{error}");
        let euler = config(r#"{"evaluations": [5, 10, 20, 50]}"#);
        assert_eq!(budgets(&euler, &own_sampler(&euler).unwrap(), None).unwrap(), [10]);
    }

    #[test]
    fn the_distance_is_named_or_the_first() {
        let config = config("{}");
        assert_eq!(metric(&config, None).unwrap(), "energy_distance");
        assert_eq!(metric(&config, Some("frechet_vectors")).unwrap(), "frechet_vectors");
        let error = metric(&config, Some("fid")).unwrap_err().to_string();
        assert!(error.contains("--metric fid: must be one of energy_distance, frechet_vectors"), "{error}");
    }
}
