//! Slow Flow of an experiment's networks: the probe with the experiment's data, labels and sampler.
use super::{
    GroundTruth, Measurement, Networked, Probe, ProbeConfig, Recommendation, TimeRegressor, Tolerance, measure,
    recommend,
};
use crate::experiment::Experiment;
use crate::models::Network;
use crate::random::{Purpose, SampleKey};
use crate::sample::{GuidanceConfig, SamplerConfig};
use crate::{Error, Problem, Result};
use burn::data::dataset::Dataset;
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;

/// The probe of one experiment; its ground truth is drawn from the training data.
#[derive(Debug)]
pub struct SlowFlow<'a> {
    experiment: &'a Experiment,
    config: &'a ProbeConfig,
    truth: GroundTruth,
    regressor: TimeRegressor,
}

impl<'a> SlowFlow<'a> {
    /// Reads as many training samples as the probe looks at.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration of the probe that is out of range; as [`GroundTruth::new`] and
    /// [`TimeRegressor::new`]; what reading the samples reports.
    pub fn new(experiment: &'a Experiment, config: &'a ProbeConfig) -> Result<Self> {
        let (train, shape) = (&experiment.data().train, experiment.data().shape);
        let mut problems = config.problems("slow_flow");
        let must = format!("must be at most the {} training samples", train.len());
        Problem::unless(&mut problems, config.samples <= train.len(), "slow_flow", "samples", config.samples, must);
        Error::if_any(problems)?;
        let places: Vec<usize> = GroundTruth::places(train.len(), config.samples);
        let path = experiment.config().flow.path.build();
        let truth = GroundTruth::new(train.values(&places)?, shape.iter().product(), places, path, config.seed)?;
        let regressor = TimeRegressor::new(&truth)?;
        Ok(Self { experiment, config, truth, regressor })
    }

    /// The states of `network` under `sampler`, by every configured definition.
    ///
    /// # Errors
    /// As [`measure`].
    pub fn measure(&self, network: &Network, sampler: SamplerConfig) -> Result<Vec<Measurement>> {
        let networked = self.networked(network, sampler.guidance.clone())?;
        measure(&self.probe(), &networked, &self.experiment.sampler(sampler)?)
    }

    /// What one measurement of `network`, and how well an input tells its own noise level, say of γ; without training.
    ///
    /// # Errors
    /// As [`Tolerance::measure`] and [`recommend`].
    pub fn recommend(&self, network: &Network, measured: &Measurement) -> Result<Recommendation> {
        let guidance = self.experiment.config().samplers().into_iter().next().and_then(|sampler| sampler.guidance);
        let networked = self.networked(network, guidance)?;
        recommend(measured, &Tolerance::measure(&self.probe(), &self.regressor, &networked, measured)?)
    }

    fn probe(&self) -> Probe<'_, 4> {
        let [channels, height, width] = self.experiment.data().shape;
        let shape = [self.config.samples, channels, height, width];
        Probe { truth: &self.truth, config: self.config, shape, device: self.experiment.device() }
    }

    fn networked<'n>(
        &self,
        network: &'n Network,
        guidance: Option<GuidanceConfig>,
    ) -> Result<Networked<'n, Network, 4>> {
        networked(self.experiment, network, &self.truth.indices, self.config.seed, guidance)
    }
}

/// The network with conditions in the proportions of the data, and with the data's own for the ground truth: the training
/// items at `places`.
pub(in crate::experiment) fn networked<'n>(
    experiment: &Experiment,
    network: &'n Network,
    places: &[usize],
    seed: u64,
    guidance: Option<GuidanceConfig>,
) -> Result<Networked<'n, Network, 4>> {
    let (flow, train) = (&experiment.config().flow, &experiment.data().train);
    let all = train.labels().len();
    let drawn = |position: u64| {
        let mut rng = SampleKey { seed, epoch: 0, position }.rng(Purpose::GenerationCondition);
        rng.random_range(0..all)
    };
    let generated: Vec<usize> = (0..places.len() as u64).map(drawn).collect();
    let of = |places: &[usize]| {
        if experiment.config().network.reads_text() {
            let items = places.iter().map(|place| train.get(*place)).collect::<Result<Vec<_>, _>>();
            return Ok(experiment.condition(items.map_err(|e| Error::Invalid(e.to_string()))?));
        }
        let labels: Vec<i64> = places.iter().map(|place| train.labels()[*place]).collect();
        let labels = TensorData::new(labels, [places.len()]);
        Ok::<_, Error>(Tensor::<1, Int>::from_data(labels, experiment.device()).into())
    };
    Ok(Networked {
        network,
        prediction: flow.prediction,
        path: flow.path.build(),
        guidance,
        generated: of(&generated)?,
        truth: of(places)?,
    })
}
