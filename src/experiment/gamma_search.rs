//! `"gamma": "auto"`: a control and a few γ, trained shortly and sampled with the steps that are asked for.
use super::ablation::Cell;
use super::slow_flow::SlowFlow;
use super::{Ablation, Job};
use crate::experiment::config::{
    AblationConfig, AblationSampler, ArmConfig, ArmWeights, EvaluateConfig, GammaSearchConfig, Reference, RunConfig,
};
use crate::experiment::slow_flow::ProbeConfig;
use crate::post_train::StageConfig;
use crate::post_train::gamma::{GammaChoice, GammaGoal, Pilot, PilotDistances, search};
use crate::timestep::StrategyConfig;
use crate::train::InputConfig;
use crate::{Error, Problem, Result};
use std::path::Path;

/// A choice of γ, opened in a folder: an [`Ablation`] of pilots, of which only those are run that decide.
///
/// Pilots share the pretrained weights, draws and noise of a seed, and are compared with training data that they leave
/// out ([`Reference::SetAside`]), so that the held-out data and the seeds of the results stay untouched. Killed and started again, it goes on where it was.
pub struct GammaSearch {
    pilots: Ablation,
    targets: Vec<GammaGoal>,
    candidates: Vec<f64>,
}

const CONTROL: &str = "control";
const MIXFLOW: &str = "MixFlow";

impl GammaSearch {
    /// For a run whose post-training leaves γ open: one choice, for all of its steps together.
    ///
    /// # Errors
    /// [`Error::Config`] if the distance is none of the data's; as [`Ablation::open`].
    pub fn of_run(config: &RunConfig, folder: &Path, cache: &Path) -> Result<Self> {
        let search = &config.gamma_search;
        let pilots = Self::open(of_run(config), search, folder, cache)?;
        let metrics = pilots.metrics();
        let distance = match &search.distance {
            None => metrics[0].into(),
            Some(name) if metrics.contains(&name.as_str()) => name.clone(),
            Some(name) => {
                let message = format!("= {name:?}: must be one of {}", metrics.join(", "));
                return Err(Error::Config(vec![Problem { path: "gamma_search.distance".into(), message }]));
            }
        };
        let targets = vec![GammaGoal { distance, steps: pilots.steps() }];
        Ok(Self { pilots, targets, candidates: search.gammas.clone() })
    }

    /// For every distance at every budget of a sweep of γ, under its first sampler.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless one arm has `gammas`; as [`Ablation::open`].
    pub fn of_sweep(config: &AblationConfig, search: &GammaSearchConfig, folder: &Path, cache: &Path) -> Result<Self> {
        let swept: Vec<&ArmConfig> = config.arms.iter().filter(|arm| !arm.gammas.is_empty()).collect();
        let [swept] = swept[..] else {
            let message = format!("a sweep of γ needs one arm with `gammas`, not {}", swept.len());
            return Err(Error::Invalid(message));
        };
        let sweep = AblationConfig {
            arms: arms(swept.weights, swept.strategy, &search.gammas, swept.input),
            samplers: config.samplers.iter().take(1).cloned().map(|s| AblationSampler { arms: None, ..s }).collect(),
            ..config.clone()
        };
        let pilots = Self::open(sweep, search, folder, cache)?;
        let (metrics, steps) = (pilots.metrics(), pilots.steps());
        let target = |(distance, steps): (&str, usize)| GammaGoal { distance: distance.into(), steps: vec![steps] };
        let each = metrics.into_iter().flat_map(|metric| steps.iter().map(move |steps| (metric, *steps)));
        let targets = each.map(target).collect();
        Ok(Self { pilots, targets, candidates: search.gammas.clone() })
    }

    fn open(config: AblationConfig, search: &GammaSearchConfig, folder: &Path, cache: &Path) -> Result<Ablation> {
        let pilots = AblationConfig {
            schema: None,
            control: CONTROL.into(),
            post_train: search.pilot(&config.post_train),
            seeds: search.seeds.clone(),
            samples: search.samples.unwrap_or(config.samples),
            reference: Reference::SetAside,
            ..config
        };
        Ablation::open(pilots, folder, cache)
    }

    /// The pilots that may be run.
    pub fn pilots(&self) -> &Ablation {
        &self.pilots
    }

    /// Searches; `run` does the jobs it is given, by [`Ablation::run`] here or in other processes.
    ///
    /// # Errors
    /// As `run`, [`search`] and [`Ablation::floors`].
    pub fn run(&self, run: &mut dyn FnMut(&Ablation, &[Job]) -> Result<()>) -> Result<Vec<GammaChoice>> {
        let mut choices = search(&self.candidates, &self.targets, &mut |gammas: &[Option<f64>]| {
            let asked = |job: &Job| gammas.contains(&self.gamma(*job));
            let jobs: Vec<Job> = self.pilots.jobs().into_iter().filter(asked).collect();
            run(&self.pilots, &jobs)?;
            self.trials()
        })?;
        let floors = self.pilots.floors()?;
        for choice in &mut choices {
            let floor = floors.iter().find(|(name, _)| *name == choice.target.distance);
            choice.compare_with_floor(floor.map_or(0.0, |(_, distance)| *distance));
        }
        Ok(choices)
    }

    /// Adds to the reasons what the probe finds at the steps of a choice: how far the pretrained network's states lag
    /// behind, and how well the data tell their own level. It decides nothing: where it fails, that is the reason added.
    /// Data of fewer than 16 samples have none.
    pub fn explain(&self, choice: &mut GammaChoice, evaluate: &EvaluateConfig) {
        if let Err(error) = self.probe(choice, evaluate) {
            choice.reasons.push(format!("the probe could not say more: {error}"));
        }
    }

    fn probe(&self, choice: &mut GammaChoice, evaluate: &EvaluateConfig) -> Result<()> {
        let Some(network) = self.pilots.pretrain()? else { return Ok(()) };
        let experiment = self.pilots.experiment();
        let all = experiment.data.train.labels().len();
        let default = ProbeConfig::default();
        let samples = default.samples.min(all);
        if samples < 16 {
            return Ok(());
        }
        let probe = ProbeConfig { samples, tolerance_samples: default.tolerance_samples.min(samples), ..default };
        let probe = SlowFlow::new(experiment, evaluate, &probe)?;
        for &steps in choice.target.steps.iter().filter(|steps| **steps > 1) {
            for measured in probe.measure(&network, steps)? {
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
    fn trials(&self) -> Result<Vec<Pilot>> {
        let jobs = self.pilots.jobs();
        let one = |arm: usize| {
            let mine: Vec<Job> = jobs.iter().copied().filter(|job| job.arm == arm).collect();
            let cells: Option<Vec<_>> = mine.iter().map(|job| self.pilots.finished(*job)).collect();
            let cells = cells.unwrap_or_default();
            let Some((first, job)) = cells.first().zip(mine.first()) else { return Ok(None) };
            let found = |(place, name): (usize, &String)| {
                let steps = first[place].steps;
                let missing =
                    || Error::Invalid(format!("pilots: a seed has no {name} at {steps} steps; remove the folder"));
                let of = |seed: &Vec<Cell>| seed.get(place)?.distances.get(name).copied();
                let by_seed = cells.iter().map(|seed| of(seed).ok_or_else(missing)).collect::<Result<_>>()?;
                Ok(PilotDistances { distance: name.clone(), steps, by_seed })
            };
            let places =
                first.iter().enumerate().flat_map(|(i, cell)| cell.distances.keys().map(move |name| (i, name)));
            Ok(Some(Pilot { gamma: self.gamma(*job), found: places.map(found).collect::<Result<_>>()? }))
        };
        (0..self.pilots.arms().len()).filter_map(|arm| one(arm).transpose()).collect()
    }
}

fn arms(weights: ArmWeights, strategy: StrategyConfig, gammas: &[f64], input: Option<InputConfig>) -> Vec<ArmConfig> {
    let arm = |name: &str, strategy, gammas: &[f64]| ArmConfig {
        name: name.into(),
        weights,
        strategy,
        gammas: gammas.to_vec(),
        input,
        anti_drift: None,
    };
    vec![arm(CONTROL, StrategyConfig::Standard {}, &[]), arm(MIXFLOW, strategy, gammas)]
}

/// The sweep of γ that a run is a part of.
fn of_run(config: &RunConfig) -> AblationConfig {
    let RunConfig { data, network, device, path, prediction, loss_weight, pretrain, post_train, .. } = config.clone();
    let RunConfig { seeds, evaluate, gamma_search, .. } = config.clone();
    let steps = gamma_search.steps.as_ref().unwrap_or(&evaluate.steps);
    let evaluations = steps.iter().filter_map(|steps| evaluate.sampler(*steps).evaluations()).collect();
    let EvaluateConfig { solver, samples, batch_size, guidance, feature_seed, .. } = evaluate;
    let name = serde_json::to_value(solver).ok().and_then(|name| Some(name.as_str()?.to_string()));
    let sampler = AblationSampler {
        name: name.unwrap_or_else(|| "sampler".into()),
        solver,
        times: Default::default(),
        guidance,
        corrections: Vec::new(),
        arms: None,
    };
    AblationConfig {
        schema: None,
        data,
        network,
        device,
        path,
        prediction,
        loss_weight,
        pretrain,
        arms: arms(ArmWeights::PostTrained, StrategyConfig::default(), &gamma_search.gammas, post_train.input),
        // The input is the arms'; a pilot sets the strategy.
        post_train: StageConfig { input: None, ..post_train },
        control: CONTROL.into(),
        samplers: vec![sampler],
        evaluations,
        seeds,
        samples,
        batch_size,
        feature_seed,
        reference: Reference::SetAside,
        workers: 0,
    }
}
