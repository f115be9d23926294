//! How long an experiment takes, from a few timed steps of its own network on its own data.
use super::cell_gfid::FeatureMaker;
use super::compare::{Comparison, Work};
use super::config::ExperimentConfig;
use super::gamma::pilots;
use super::opened::Experiment;
use crate::models::NetworkCondition;
use crate::network::PredictionNetwork;
use crate::post_train::{StageConfig, less_memory};
use crate::random::SampleKey;
use crate::train::{Fault, FlowBatch, MixFlowTrainStep, TrainStepBuilder};
use crate::{Error, Result, device_memory, host};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::TrainStep;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Steps are timed until this is over, but two at least.
const ENOUGH: Duration = Duration::from_secs(3);
const FEWEST: usize = 2;
const MOST: usize = 8;

/// Samples that are timed on their way to Inception features.
const PICTURES: usize = 4;

/// Less and more than this part of what timed steps say is not promised: other processes, caches and clocks matter.
const SPREAD: [f64; 2] = [0.7, 1.4];

/// Pilots of a choice of γ, the control among them: those that are always run, and as many as it seldom exceeds.
const PILOTS: [usize; 2] = [4, 8];

/// Seconds, the least and the most expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondsRange {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// What one step of training and one evaluation cost here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// Seconds of an optimizer step of `post_train`, accumulation and all devices included.
    pub step: f64,
    /// Seconds of one network evaluation of one sample.
    pub evaluation: f64,
    /// Seconds of decoding one sample and of its Inception features, where a table has a gFID.
    #[serde(default)]
    pub picture: f64,
    /// Samples of that step.
    pub batch: usize,
}

impl StepCost {
    /// The seconds of `stage`, which may have another batch.
    fn of(&self, stage: &StageConfig) -> f64 {
        self.seconds(Work::trained(stage.evaluations() as f64))
    }

    pub(super) fn seconds(&self, work: Work) -> f64 {
        let trained = work.training * self.step / (3 * self.batch.max(1)) as f64;
        trained + work.sampling * self.evaluation + work.pictures * self.picture
    }

    /// What a post-training of the experiment takes.
    pub fn post_training(&self, experiment: &Experiment) -> SecondsRange {
        spread(self.of(&experiment.config().post_train))
    }

    /// What pretraining takes, where the weights are made here and are not there yet.
    ///
    /// # Errors
    /// As [`Experiment::start_work`].
    pub fn pretraining(&self, experiment: &Experiment) -> Result<Option<SecondsRange>> {
        let work = experiment.start_work()?;
        let stage = experiment.config().start.pretrain().filter(|_| work > 0.0);
        Ok(stage.map(|stage| spread(self.of(stage))))
    }

    /// What is left of a comparison.
    pub fn comparison(&self, comparison: &Comparison) -> SecondsRange {
        spread(comparison.jobs().into_iter().map(|job| self.seconds(comparison.work_left(job))).sum())
    }

    /// What the table of `config` takes, of which nothing is there yet, compared with `held_out` items.
    pub(super) fn table(&self, config: &ExperimentConfig, held_out: usize) -> SecondsRange {
        spread(self.seconds(Work::of_table(config, held_out)))
    }

    /// What a choice of γ takes, compared with `aside` items: of the pilots, the first few at least, and seldom many more.
    pub(super) fn choice(&self, config: &ExperimentConfig, aside: usize) -> SecondsRange {
        let pilots = pilots(config);
        let arms = pilots.arms();
        let seed = pilots.compare.seeds.first().copied().unwrap_or_default();
        let one = arms.first().map_or(0.0, |arm| self.seconds(Work::of_arm(&pilots, arm, seed, aside)));
        let [least, most] = PILOTS.map(|count| count.min(arms.len()) as f64 * pilots.compare.seeds.len() as f64);
        SecondsRange { low: spread(least * one).low, high: spread(most * one).high }
    }
}

fn spread(seconds: f64) -> SecondsRange {
    SecondsRange { low: SPREAD[0] * seconds, high: SPREAD[1] * seconds }
}

impl Experiment {
    /// Times a few steps of `post_train` on the first device, from random weights.
    ///
    /// # Errors
    /// What reading the data or making the network reports; a pass that does not fit the device, with what does.
    pub fn time_steps(&self) -> Result<StepCost> {
        let less = || less_memory::advice(&self.config().post_train, self.config().devices.len());
        let cost = device_memory::guarded(less, || self.timed_steps())?;
        Ok(StepCost { picture: self.time_pictures()?, ..cost })
    }

    fn timed_steps(&self) -> Result<StepCost> {
        let (config, stage) = (self.config(), &self.config().post_train);
        let passes = stage.accumulation.max(1) * config.devices.len().max(1);
        let count = (stage.batch_size / passes).clamp(1, self.data().train.len().max(1));
        let items = (0..count).map(|i| self.data().train.get(i)).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|e| Error::Invalid(e.to_string()))?;
        let mut batch: FlowBatch<4, NetworkCondition> =
            self.batcher().batch(items.clone(), &self.device().clone().autodiff());
        batch.keys = Some((0..count as u64).map(|position| SampleKey { seed: 0, epoch: 0, position }).collect());
        let strategy = stage.strategy.build(stage.time_shift.as_ref())?;
        let step = MixFlowTrainStep::builder(self.init(0)?, strategy)
            .with_objective(config.flow.objective(stage.target))
            .with_precision(stage.precision)
            .with_checkpointing(stage.checkpointing)
            .with_steps(stage.steps as u64);
        let mut step = stage.adapter.clone().into_iter().fold(step, TrainStepBuilder::with_adapter).build()?;
        let mut optimizer = stage.optimizer.build();
        let mut one = |step: MixFlowTrainStep<_, 4>| {
            let grads = TrainStep::step(&step, batch.clone()).grads;
            step.optimize(&mut optimizer, 1e-6.into(), grads)
        };
        step = one(step);
        let (started, mut done) = (Instant::now(), 0);
        while done < MOST && (done < FEWEST || started.elapsed() < ENOUGH) {
            step = one(step);
            done += 1;
        }
        if let Some(fault @ Fault::Device { .. }) = step.fault() {
            return Err(Error::Training(fault.to_string()));
        }
        let seconds = started.elapsed().as_secs_f64() / done as f64;

        let network = step.averaged().valid();
        let batch: FlowBatch<4, NetworkCondition> = self.batcher().batch(items, self.device());
        let time = Tensor::<1>::zeros([count], self.device());
        let started = Instant::now();
        let output = PredictionNetwork::<4>::predict(&network, batch.data, time, &batch.condition).output;
        host::values(output, "an output of the network")?;
        let evaluation = started.elapsed().as_secs_f64() / count as f64;
        Ok(StepCost { step: seconds * passes as f64, evaluation, picture: 0.0, batch: stage.batch_size })
    }

    /// Seconds of making a picture of a sample and features of it, on the first device; 0 without a gFID.
    fn time_pictures(&self) -> Result<f64> {
        let Some(gfid) = &self.config().compare.gfid else { return Ok(0.0) };
        let maker = FeatureMaker::new(self, gfid, self.device())?;
        let values = vec![0.0; PICTURES * self.data().shape.iter().product::<usize>()];
        maker.features(self, &values)?;
        let started = Instant::now();
        maker.features(self, &values)?;
        Ok(started.elapsed().as_secs_f64() / PICTURES as f64)
    }
}
