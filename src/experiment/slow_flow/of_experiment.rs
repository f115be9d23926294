//! Slow Flow of an experiment's networks: the probe with the experiment's data, labels and sampler.
use crate::experiment::Experiment;
use crate::experiment::config::EvaluateConfig;
use crate::experiment::slow_flow::{
    GroundTruth, Measurement, Networked, Probe, ProbeConfig, Recommendation, TimeRegressor, Tolerance, measure,
    recommend,
};
use crate::models::Network;
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey};
use crate::sample::Sampler;
use crate::{Error, Result};
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;

/// The probe of one experiment; its ground truth is drawn from the training data.
#[derive(Debug)]
pub struct SlowFlow<'a> {
    experiment: &'a Experiment,
    evaluate: &'a EvaluateConfig,
    config: &'a ProbeConfig,
    truth: GroundTruth,
    regressor: TimeRegressor,
}

impl<'a> SlowFlow<'a> {
    /// # Errors
    /// As [`GroundTruth::new`] and [`TimeRegressor::new`]; [`Error::Config`] for a configuration of the probe that is out of range.
    pub fn new(experiment: &'a Experiment, evaluate: &'a EvaluateConfig, config: &'a ProbeConfig) -> Result<Self> {
        Error::if_any(config.problems("probe"))?;
        let train = &experiment.data.train;
        let (values, size) = (train.in_memory(), experiment.data.shape.iter().product());
        let values = values.ok_or_else(|| Error::Invalid("Slow Flow needs data in memory".into()))?;
        let truth = GroundTruth::new(values, size, config.samples, experiment.setting.path.build(), config.seed)?;
        let regressor = TimeRegressor::new(&truth)?;
        Ok(Self { experiment, evaluate, config, truth, regressor })
    }

    /// The states of `network` after `steps` steps, by every configured definition.
    ///
    /// # Errors
    /// As [`measure`].
    pub fn measure(&self, network: &Network, steps: usize) -> Result<Vec<Measurement>> {
        let setting = &self.experiment.setting;
        let interval = TrainingInterval::sampling(setting.path, setting.prediction);
        let sampler = Sampler::new(self.evaluate.sampler(steps), setting.path.build(), setting.prediction, interval)?;
        measure(&self.probe(), &self.networked(network), &sampler)
    }

    /// What one measurement of `network` and the tolerance of the data say of γ, without training.
    ///
    /// # Errors
    /// As [`Tolerance::measure`] and [`recommend`].
    pub fn recommend(&self, network: &Network, measured: &Measurement) -> Result<Recommendation> {
        let networked = self.networked(network);
        recommend(measured, &Tolerance::measure(&self.probe(), &self.regressor, &networked, measured)?)
    }

    fn probe(&self) -> Probe<'_, 4> {
        let [channels, height, width] = self.experiment.data.shape;
        let shape = [self.config.samples, channels, height, width];
        Probe { truth: &self.truth, config: self.config, shape, device: &self.experiment.device }
    }

    /// The network with labels in the proportions of the data, and with the data's own for the ground truth.
    fn networked<'n>(&self, network: &'n Network) -> Networked<'n, Network, 4> {
        let Experiment { setting, data, device } = self.experiment;
        let (all, count, seed) = (data.train.labels(), self.truth.count(), self.config.seed);
        let drawn = |position: u64| {
            let mut rng = SampleKey { seed, epoch: 0, position }.rng(Purpose::GenerationCondition);
            all[rng.random_range(0..all.len())]
        };
        let batch = |labels: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device).into();
        Networked {
            network,
            prediction: setting.prediction,
            path: setting.path.build(),
            guidance: self.evaluate.guidance.clone(),
            generated: batch((0..count as u64).map(drawn).collect()),
            truth: batch(self.truth.indices.iter().map(|i| all[*i]).collect()),
        }
    }
}
