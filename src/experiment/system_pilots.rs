//! `"gamma": "auto"` for an official checkpoint: its pilots, one after the other.
use super::System;
use super::experiment::stage_seed;
use super::files::{create, hash, pretty, read, write};
use crate::data::LatentSplit;
use crate::evaluate::{PairAverage, energy_distance_with};
use crate::experiment::config::{ENERGY_DISTANCE, GammaSearchConfig, SystemConfig};
use crate::models::NetworkCondition;
use crate::post_train::Stage;
use crate::post_train::StageConfig;
use crate::post_train::gamma::{GammaChoice, GammaGoal, Pilot, PilotDistances, search};
use crate::random::SampleKey;
use crate::sample::Networks;
use crate::timestep::StrategyConfig;
use crate::train::FlowBatch;
use crate::{Error, Result};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use std::path::Path;

/// Samples of a pilot unless the configuration says how many; fewer where fewer latents are set aside.
const SAMPLES: usize = 500;

/// What a finished pilot leaves.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Kept {
    /// A hash of all that makes it.
    made_of: String,
    distances: Vec<f64>,
}

/// What pilots are trained on, the latents they are compared with, and the conditions they are sampled for.
struct Reference {
    split: LatentSplit,
    latents: Vec<f32>,
    condition: NetworkCondition,
    count: usize,
}

impl System {
    /// The γ at which short post-trainings come closest to training latents that they leave out, by the energy distance
    /// of latents sampled for the conditions of those; `said` hears of every pilot as it ends.
    ///
    /// Pilots go below `folder`; those that are there are not run again, one that was stopped goes on.
    ///
    /// # Errors
    /// As [`Stage::run`] and [`Sampler::sample`](crate::sample::Sampler::sample); [`Error::Invalid`] for samples that
    /// are not finite.
    pub fn choose_gamma(&self, folder: &Path, said: &mut dyn FnMut(&Pilot)) -> Result<GammaChoice> {
        let config = &self.config().gamma_search;
        let steps = config.steps.clone().unwrap_or_else(|| vec![self.config().sample.sampler.steps]);
        let reference = self.reference(config.samples.unwrap_or(SAMPLES))?;
        let target = GammaGoal { distance: ENERGY_DISTANCE.into(), steps };
        let mut trials: Vec<Pilot> = Vec::new();
        let choices = search(&config.gammas, std::slice::from_ref(&target), &mut |gammas: &[Option<f64>]| {
            for &gamma in gammas {
                let trial = self.trial(gamma, config, &target, &reference, folder)?;
                said(&trial);
                trials.push(trial);
            }
            Ok(trials.clone())
        })?;
        choices.into_iter().next().ok_or_else(|| Error::Invalid("no γ to choose for".into()))
    }

    fn trial(
        &self,
        gamma: Option<f64>,
        config: &GammaSearchConfig,
        target: &GammaGoal,
        reference: &Reference,
        folder: &Path,
    ) -> Result<Pilot> {
        let strategy = gamma.map_or(StrategyConfig::Standard {}, StrategyConfig::mixflow);
        let stage = StageConfig { strategy, ..config.pilot(&self.config().post_train) };
        let name = gamma.map_or("control".into(), |gamma| format!("gamma-{gamma}"));
        let by_seed: Vec<Vec<f64>> = config
            .seeds
            .iter()
            .map(|seed| {
                let folder = folder.join(&name).join(format!("seed-{seed}"));
                self.pilot(&stage, *seed, &target.steps, reference, &folder)
            })
            .collect::<Result<_>>()?;
        let found = |(place, steps): (usize, &usize)| PilotDistances {
            distance: target.distance.clone(),
            steps: *steps,
            by_seed: by_seed.iter().map(|distances| distances[place]).collect(),
        };
        Ok(Pilot { gamma, found: target.steps.iter().enumerate().map(found).collect() })
    }

    /// The distances of one pilot at each number of steps.
    fn pilot(
        &self,
        stage: &StageConfig,
        seed: u64,
        steps: &[usize],
        reference: &Reference,
        folder: &Path,
    ) -> Result<Vec<f64>> {
        let SystemConfig { data, network, weights, path, prediction, loss_weight, sample, .. } = self.config();
        let parts = (data, network, weights, path, prediction, loss_weight);
        let drawn = (&sample.sampler, &sample.weak, &sample.skipped_layers);
        let made_of = serde_json::json!([parts, drawn, stage, seed, steps, reference.count, "set aside"]);
        let (made_of, file) = (hash(&made_of.to_string()), folder.join("distances.json"));
        if let Some(kept) = read::<Kept>(&file).filter(|kept| kept.made_of == made_of) {
            return Ok(kept.distances);
        }
        // A folder of other pilots keeps its checkpoints: this one must not go on from them.
        let training = folder.join(&made_of);
        create(&training)?;
        let runner = Stage::new(stage, &training)
            .objective(self.config().objective())
            .seed(stage_seed("pilot", stage.seed, seed))
            .devices(self.devices())
            .label(folder.display().to_string());
        let (network, _) = self.load()?;
        let LatentSplit { train, held_out, .. } = reference.split.clone();
        let trained = runner.run(network, train, held_out, self.batcher())?.ema;
        let weak = self.weak(&trained)?;
        let one = |steps: &usize| {
            let networks = Networks { main: &trained, weak: weak.as_ref() };
            let sampler = crate::sample::SamplerConfig { steps: *steps, ..sample.sampler.clone() };
            let latents =
                self.generate(networks, sampler, &reference.condition, (reference.count, seed), &mut |_| ())?;
            let values: Vec<f32> = latents.into_data().iter::<f32>().collect();
            energy_distance_with(&values, &reference.latents, data.shape.iter().product(), PairAverage::All)
        };
        let distances: Vec<f64> = steps.iter().map(one).collect::<Result<_>>()?;
        write(&file, &pretty(&Kept { made_of, distances: distances.clone() })?)?;
        // Of a pilot only its distances are needed; its checkpoints are several times the network.
        let checkpoints = training.join("checkpoints");
        std::fs::remove_dir_all(&checkpoints).map_err(|e| Error::io(&checkpoints, e))?;
        Ok(distances)
    }

    /// Evenly chosen latents of those set aside, drawn where they are posteriors, with their conditions.
    fn reference(&self, most: usize) -> Result<Reference> {
        let split = self.data().set_aside()?;
        let aside = &split.held_out;
        let (all, count) = (aside.len(), aside.len().min(most));
        let items: Vec<_> =
            (0..count).map(|i| aside.get(i * all / count)).collect::<Result<_, _>>().map_err(invalid)?;
        let keys: Vec<_> = (0..count as u64).map(|position| SampleKey { seed: 0, epoch: u64::MAX, position }).collect();
        let batch: FlowBatch<4, NetworkCondition> = self.batcher().batch(items, self.device());
        let FlowBatch { data, condition, .. } = batch.drawn(&keys);
        Ok(Reference { latents: data.into_data().iter::<f32>().collect(), condition, count, split })
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::Invalid(error.to_string())
}
