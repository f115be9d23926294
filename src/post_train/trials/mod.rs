//! Trainings of one network that are sampled and measured alike: which γ, and does MixFlow help at all?
//!
//! [`Trials::choose_gamma`] answers the first by short stages, [`Trials::compare`] the second by whole ones.
mod comparison;
mod kept;
#[cfg(test)]
mod tests;

pub use comparison::{ArmDistances, TrialComparison};

use super::gamma::{CANDIDATES, GammaChoice, GammaGoal, Pilot, PilotDistances, search};
use super::{Stage, StageConfig};
use crate::adapter::merged;
use crate::network::PredictionNetwork;
use crate::sample::Sampler;
use crate::timestep::StrategyConfig;
use crate::train::{FlowBatch, Objective};
use crate::{Error, Problem, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::ModuleDisplay;
use burn::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the distance in a [`GammaChoice`].
const DISTANCE: &str = "distance";

/// What all trainings see.
#[derive(Clone)]
pub struct TrialData<I, B> {
    train: Arc<dyn Dataset<I>>,
    held_out: Arc<dyn Dataset<I>>,
    batcher: B,
}

impl<I, B> TrialData<I, B> {
    /// Data as [`Stage::run`] takes them.
    pub fn new(train: impl Dataset<I> + 'static, held_out: impl Dataset<I> + 'static, batcher: B) -> Self {
        Self { train: Arc::new(train), held_out: Arc::new(held_out), batcher }
    }
}

/// How a network is sampled and measured.
pub struct TrialMeasure<'a, C, const D: usize> {
    samplers: Vec<Sampler>,
    condition: C,
    shape: [usize; D],
    distance: Box<dyn Fn(Tensor<D>) -> Result<f64> + 'a>,
}

impl<'a, C, const D: usize> TrialMeasure<'a, C, D> {
    /// `shape[0]` samples for as many conditions; `distance` says how far they are from the data: positive, smaller is nearer.
    pub fn new(
        sampler: Sampler,
        condition: C,
        shape: [usize; D],
        distance: impl Fn(Tensor<D>) -> Result<f64> + 'a,
    ) -> Self {
        Self { samplers: vec![sampler], condition, shape, distance: Box::new(distance) }
    }

    /// Measures with a further sampler, of another number of steps; a γ is then chosen for all of them equally.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.samplers.push(sampler);
        self
    }
}

/// Trainings from the same weights that differ in their strategy alone.
///
/// With one seed all of them see the same order of the data and the same noise, and are sampled from the same noise. Each
/// result is kept below the folder by a hash of what made it: stage, weights, sizes of the data, samplers. The data and the
/// distance are not part of it: take another folder for others.
///
/// What is not set: [`Objective::default`], the CPU, seeds 0 and 1, the candidates [`CANDIDATES`].
pub struct Trials<'a, I, N: PredictionNetwork<D>, B, const D: usize> {
    stage: &'a StageConfig,
    network: &'a N,
    data: TrialData<I, B>,
    measure: TrialMeasure<'a, N::Condition, D>,
    folder: PathBuf,
    objective: Objective,
    device: Device,
    seeds: Vec<u64>,
    candidates: Vec<f64>,
}

impl<'a, I, N, B, const D: usize> Trials<'a, I, N, B, D>
where
    I: Send + Sync + 'static,
    N: PredictionNetwork<D> + ModuleDisplay + 'static,
    B: Batcher<I, FlowBatch<D, N::Condition>> + Clone + 'static,
{
    /// Trainings as `stage` says, but for its strategy, from the weights of `network`, which is on the device with autodiff.
    pub fn new(
        stage: &'a StageConfig,
        network: &'a N,
        data: TrialData<I, B>,
        measure: TrialMeasure<'a, N::Condition, D>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        Self {
            stage,
            network,
            data,
            measure,
            folder: folder.into(),
            objective: Objective::default(),
            device: Device::flex(),
            seeds: vec![0, 1],
            candidates: CANDIDATES.to_vec(),
        }
    }

    /// What predictions are compared with.
    pub fn objective(self, objective: Objective) -> Self {
        Self { objective, ..self }
    }

    /// Where everything runs, without autodiff.
    pub fn device(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// One repetition per seed, which is added to that of the stage; two or more give standard errors.
    pub fn seeds(self, seeds: &[u64]) -> Self {
        Self { seeds: seeds.to_vec(), ..self }
    }

    /// The γ that may be chosen, each in [0, 1].
    pub fn candidates(self, gammas: &[f64]) -> Self {
        Self { candidates: gammas.to_vec(), ..self }
    }

    /// The γ that comes nearest to the data after a stage of pilots, by [`search`]: let the stage be a short one.
    ///
    /// The control is trained with the standard strategy.
    ///
    /// # Errors
    /// [`Error::Config`] for a stage, seeds or candidates that cannot be; as [`Stage::run`], [`Sampler::sample`] and the distance,
    /// which must be positive.
    pub fn choose_gamma(&self) -> Result<GammaChoice> {
        self.check()?;
        let steps = self.steps();
        let goal = GammaGoal { distance: DISTANCE.into(), steps: steps.clone() };
        let mut pilots: Vec<Pilot> = Vec::new();
        let choices = search(&self.candidates, &[goal], &mut |gammas: &[Option<f64>]| {
            for gamma in gammas {
                let strategy = gamma.map_or(StrategyConfig::Standard {}, StrategyConfig::mixflow);
                let by_seed = self.by_sampler(Some(strategy))?;
                let found = steps.iter().zip(by_seed);
                let found =
                    found.map(|(steps, by_seed)| PilotDistances { distance: DISTANCE.into(), steps: *steps, by_seed });
                pilots.push(Pilot { gamma: *gamma, found: found.collect() });
            }
            Ok(pilots.clone())
        })?;
        choices.into_iter().next().ok_or_else(|| Error::Invalid("the search for γ made no choice".into()))
    }

    /// The weights as they are, after a stage of standard training, and after one with the strategy of the stage.
    ///
    /// # Errors
    /// [`Error::Config`] for the standard strategy, which is the control; as [`choose_gamma`](Self::choose_gamma).
    pub fn compare(&self) -> Result<TrialComparison> {
        self.check()?;
        if self.stage.strategy == StrategyConfig::standard() {
            let message = ": is the control's own, \"standard\"; name the one to compare with it, as \"mixflow\"";
            return Err(Error::Config(vec![Problem { path: "strategy".into(), message: message.into() }]));
        }
        let (none, control) = (self.by_sampler(None)?, self.by_sampler(Some(StrategyConfig::Standard {}))?);
        let mixflow = self.by_sampler(Some(self.stage.strategy))?;
        TrialComparison::new(&self.steps(), [none, control, mixflow])
    }

    fn steps(&self) -> Vec<usize> {
        self.measure.samplers.iter().map(|sampler| sampler.config().steps).collect()
    }

    fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        Problem::unless(&mut problems, !self.seeds.is_empty(), "", "seeds", "[]", "must be at least one");
        for gamma in &self.candidates {
            Problem::unless(&mut problems, (0.0..=1.0).contains(gamma), "", "candidates", gamma, "must be in [0, 1]");
        }
        let mut steps = self.steps();
        steps.sort_unstable();
        let again = steps.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let must = "must differ between samplers, by which results are named";
        Problem::unless(&mut problems, again.is_none(), "", "steps", again.unwrap_or_default(), must);
        Error::if_any(problems)
    }

    /// The distances of every sampler by seed, after training with `strategy` or without any.
    fn by_sampler(&self, strategy: Option<StrategyConfig>) -> Result<Vec<Vec<f64>>> {
        let by_seed = self.seeds.iter().map(|seed| self.trial(strategy, *seed)).collect::<Result<Vec<_>>>()?;
        let of = |i: usize| by_seed.iter().map(|distances| distances[i]).collect();
        Ok((0..self.measure.samplers.len()).map(of).collect())
    }

    /// The distance of every sampler, kept or found anew.
    fn trial(&self, strategy: Option<StrategyConfig>, seed: u64) -> Result<Vec<f64>> {
        let stage = strategy.map(|strategy| StageConfig { strategy, ..self.stage.clone() });
        let samplers: Vec<_> = self.measure.samplers.iter().map(Sampler::config).collect();
        let sizes = [self.data.train.len(), self.data.held_out.len()];
        let objective = format!("{:?}", self.objective);
        let made_of = serde_json::json!([stage, seed, sizes, samplers, self.measure.shape.as_slice(), objective]);
        let name = kept::name(&made_of.to_string(), self.network);
        let file = self.folder.join(format!("{name}.json"));
        if let Some(distances) = kept::read(&file, samplers.len()) {
            return Ok(distances);
        }
        let distances = match &stage {
            None => self.distances(&self.network.clone().valid(), seed)?,
            Some(stage) => {
                let folder = self.folder.join(&name);
                let trained = self.train(stage, seed, &folder)?;
                let distances = self.distances(&trained, seed)?;
                kept::write(&file, &distances)?;
                // Of a trial only its distances are needed; its checkpoints are several times the network.
                crate::storage::remove_folder(&folder)?;
                return Ok(distances);
            }
        };
        kept::write(&file, &distances)?;
        Ok(distances)
    }

    fn train(&self, stage: &StageConfig, seed: u64, folder: &Path) -> Result<N> {
        let label = match stage.strategy {
            StrategyConfig::Standard {} => format!("control, seed {seed}"),
            strategy => strategy.gamma().map_or("trial".into(), |gamma| format!("γ = {gamma}, seed {seed}")),
        };
        let runner = Stage::new(stage, folder)
            .objective(self.objective.clone())
            .seed(stage.seed.wrapping_add(seed))
            .devices(std::slice::from_ref(&self.device))
            .label(label);
        let TrialData { train, held_out, batcher } = &self.data;
        let trained = runner.run(self.network.clone(), train.clone(), held_out.clone(), batcher.clone())?;
        Ok(merged(trained.ema))
    }

    fn distances(&self, network: &N, seed: u64) -> Result<Vec<f64>> {
        let TrialMeasure { samplers, condition, shape, distance } = &self.measure;
        let one = |sampler: &Sampler| {
            let found = distance(sampler.sample(network, condition, *shape, seed, &self.device, &mut |_| ())?)?;
            match found > 0.0 && found.is_finite() {
                true => Ok(found),
                // Before it is kept, so that a corrected distance is asked again.
                false => {
                    let steps = sampler.config().steps;
                    Err(Error::Invalid(format!("distance at {steps} steps = {found}: must be positive and finite")))
                }
            }
        };
        samplers.iter().map(one).collect()
    }
}
