//! γ chosen by pilots: a control and a few γ, trained shortly and sampled at the budgets that are asked for.
use super::compare::{Comparison, Job};
use super::config::{ArmConfig, ArmSampler, CONTROL, CompareConfig, ExperimentConfig, MIXFLOW, Reference};
use super::files::{pretty, write};
use super::fits::{self, Purpose};
use super::opened::Experiment;
use super::progress::{Progress, Silent};
use super::slow_flow::SlowFlow;
use crate::data::Form;
use crate::post_train::StageConfig;
use crate::post_train::gamma::{GammaChoice, GammaGoal, Pilot, PilotDistances, search};
use crate::timestep::StrategyConfig;
use crate::{Error, Result, Stop};
use std::path::Path;
use std::sync::Arc;

/// A choice of γ, opened in a folder: a [`Comparison`] of pilots, of which only those are run that decide.
///
/// Pilots share the weights of `start`, draws and noise of a seed, and are compared with training data that they leave
/// out ([`Reference::SetAside`]), so that the held-out data and the seeds of the results stay untouched. Killed and
/// started again, it goes on where it was.
#[derive(Debug)]
pub struct GammaSearch {
    pilots: Comparison,
    goals: Vec<GammaGoal>,
    candidates: Vec<f64>,
}

impl GammaSearch {
    /// The search that the section `gamma_search` asks for. Pilots go below `folder`.
    ///
    /// # Errors
    /// As [`Comparison::open`].
    pub fn open(config: &ExperimentConfig, folder: &Path, cache: &Path) -> Result<Self> {
        Self::open_with(config, folder, cache, Arc::new(Silent))
    }

    /// As [`open`](Self::open), and `progress` hears of it, as in [`Experiment::open_with`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        config: &ExperimentConfig,
        folder: &Path,
        cache: &Path,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let search = &config.gamma_search;
        // Here its keys are those that people wrote; the table of the pilots is made from them.
        fits::check(config, config.data.declared().shape, Purpose::Train)?;
        let pilots = Experiment::open_with(pilots(config), cache, progress)?;
        let pilots = Comparison::open(pilots, folder).map_err(in_keys_of_the_search)?;
        let (metrics, steps) = (pilots.metrics(), pilots.steps());
        let goal = |distance: &str, steps: &[usize]| GammaGoal { distance: distance.into(), steps: steps.to_vec() };
        let goals = match &search.distance {
            _ if search.each => {
                let at = |metric| steps.iter().map(move |steps| goal(metric, std::slice::from_ref(steps)));
                metrics.iter().flat_map(|metric| at(metric)).collect()
            }
            None => vec![goal(metrics[0], &steps)],
            Some(name) => vec![goal(name, &steps)],
        };
        Ok(Self { pilots, goals, candidates: search.gammas.clone() })
    }

    /// The same search, whose trainings end after the step they are in, saved, when `stop` asks for it.
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { pilots: self.pilots.stopped_by(stop), ..self }
    }

    /// Writes the choices to `gamma.json` in the folder of the pilots.
    ///
    /// # Errors
    /// [`Error::Io`] if that is impossible.
    pub fn write(&self, choices: &[GammaChoice]) -> Result<()> {
        write(&self.pilots.folder().join("gamma.json"), &pretty(&choices)?)
    }

    /// The pilots that may be run.
    pub fn pilots(&self) -> &Comparison {
        &self.pilots
    }

    /// Searches; `run` does the jobs it is given, by [`Comparison::run`] here or in other processes.
    ///
    /// # Errors
    /// As `run`, and [`search`].
    pub fn run(&self, run: &mut dyn FnMut(&Comparison, &[Job]) -> Result<()>) -> Result<Vec<GammaChoice>> {
        let mut choices = search(&self.candidates, &self.goals, &mut |gammas: &[Option<f64>]| {
            let asked = |job: &Job| gammas.contains(&self.gamma(*job));
            let jobs: Vec<Job> = self.pilots.jobs().into_iter().filter(asked).collect();
            run(&self.pilots, &jobs)?;
            self.finished()
        })?;
        let floors = self.pilots.floors()?;
        for choice in &mut choices {
            let floor = floors.iter().find(|(name, _)| *name == choice.target.distance);
            choice.compare_with_floor(floor.map_or(0.0, |(_, distance)| *distance));
        }
        Ok(choices)
    }

    /// Adds to the reasons what the probe of Slow Flow finds at the steps of a choice: how far the states of the weights of
    /// `start` lag behind, and how well the data tell their own noise level. It decides nothing: where it fails, that is
    /// the reason added. Latents and data of fewer than 16 samples have none.
    pub fn explain(&self, choice: &mut GammaChoice) {
        if let Err(error) = self.probe(choice) {
            choice.reasons.push(format!("the probe could not say more: {error}"));
        }
    }

    fn probe(&self, choice: &mut GammaChoice) -> Result<()> {
        let experiment = self.pilots.experiment();
        let (config, all) = (experiment.config(), experiment.data().train.len());
        let probe = config.slow_flow.within(all);
        if config.start.is_exact() || config.data.form() == Form::Latents || probe.samples < 16 {
            return Ok(());
        }
        let (network, _) = experiment.start()?;
        let probe = SlowFlow::new(experiment, &probe)?;
        let sampler = config.samplers().into_iter().next();
        for &steps in choice.target.steps.iter().filter(|steps| **steps > 1) {
            let at = |sampler: ArmSampler| sampler.with_steps(steps, config.compare.batch_size);
            let Some(sampler) = sampler.clone().map(at) else { continue };
            for measured in probe.measure(&network, sampler)? {
                // The last reasons weigh the two; the pilots have done that.
                choice.reasons.extend(probe.recommend(&network, &measured)?.reasons.into_iter().take(2));
            }
        }
        Ok(())
    }

    fn gamma(&self, job: Job) -> Option<f64> {
        self.pilots.arms()[job.arm].stage.strategy.gamma()
    }

    /// The finished pilots.
    fn finished(&self) -> Result<Vec<Pilot>> {
        let jobs = self.pilots.jobs();
        let one = |arm: usize| {
            let mine: Vec<Job> = jobs.iter().copied().filter(|job| job.arm == arm).collect();
            let cells: Option<Vec<_>> = mine.iter().map(|job| self.pilots.finished(*job)).collect();
            let cells = cells.unwrap_or_default();
            let Some((first, job)) = cells.first().zip(mine.first()) else { return Ok(None) };
            let mut found = Vec::new();
            for (place, cell) in first.iter().enumerate() {
                for name in cell.distances.keys() {
                    let of = |seed: &Vec<super::compare::Cell>| seed.get(place)?.distances.get(name).copied();
                    let by_seed: Option<Vec<f64>> = cells.iter().map(of).collect();
                    let by_seed = by_seed.ok_or_else(|| {
                        let (folder, steps) = (self.pilots.folder().display(), cell.steps);
                        Error::Invalid(format!("{folder}: a seed has no {name} at {steps} steps; remove the folder"))
                    })?;
                    found.push(PilotDistances { distance: name.clone(), steps: cell.steps, by_seed });
                }
            }
            Ok(Some(Pilot { gamma: self.gamma(*job), found }))
        };
        (0..self.pilots.arms().len()).filter_map(|arm| one(arm).transpose()).collect()
    }
}

/// An error of the table of pilots, whose steps people know by another key.
fn in_keys_of_the_search(error: Error) -> Error {
    match error {
        Error::Invalid(text) => Error::Invalid(text.replace("post_train.steps: was", "gamma_search.pilot_steps: was")),
        other => other,
    }
}

/// The sweep of γ that is searched.
pub(super) fn pilots(config: &ExperimentConfig) -> ExperimentConfig {
    let search = &config.gamma_search;
    let strategy = config.post_train.strategy;
    let strategy = if strategy.gamma().is_some() { strategy } else { StrategyConfig::mixflow(0.0) };
    let arm = |name: &str, strategy, gammas: &[f64]| ArmConfig {
        name: name.into(),
        weights: None,
        strategy,
        gammas: gammas.to_vec(),
        adapter: None,
        learning_rate: None,
        input: config.post_train.input,
        anti_drift: None,
        magnitude: config.post_train.magnitude,
    };
    let arms = vec![arm(CONTROL, StrategyConfig::standard(), &[]), arm(MIXFLOW, strategy, &search.gammas)];
    let (compare, first) = (&config.compare, config.samplers().into_iter().next());
    let budgets = first.as_ref().map_or(&compare.evaluations[..], |sampler| sampler.budgets(&compare.evaluations));
    let evaluations = search.evaluations.clone().unwrap_or_else(|| budgets.to_vec());
    let first = first.map(|sampler| ArmSampler { arms: None, evaluations: None, ..sampler });
    let compare = CompareConfig {
        arms,
        control: CONTROL.into(),
        samplers: first.into_iter().collect(),
        evaluations,
        seeds: search.seeds.clone(),
        samples: search.samples.unwrap_or(compare.samples),
        reference: Reference::SetAside,
        // Pictures are the dearest part of a cell: only where they decide.
        gfid: compare.gfid.clone().filter(|_| search.each || search.distance.as_deref() == Some("gfid")),
        ..compare.clone()
    };
    let stage = StageConfig { input: None, anti_drift: None, magnitude: None, ..search.pilot(&config.post_train) };
    // A pilot is judged by the search's own seeds; those of the results would be refused as the same.
    let gamma_search = super::config::GammaSearchConfig { seeds: config.compare.seeds.clone(), ..Default::default() };
    let mut pilots = config.clone().with_gamma(0.0);
    (pilots.post_train, pilots.compare, pilots.gamma_search) = (stage, compare, gamma_search);
    pilots
}
