//! What the model itself shows: its velocity deficit, and where its trajectories bend.
use super::fitted_grid::Bending;
use crate::data::Form;
use crate::data::evenly;
use crate::experiment::Experiment;
use crate::experiment::compare::ExactField;
use crate::experiment::files::{pretty, read, write};
use crate::experiment::slow_flow::{Exactly, FieldSource, GroundTruth, networked};
use crate::experiment::velocity_deficit::VelocityDeficit;
use crate::models::Network;
use crate::path::TrainingInterval;
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::{GuidanceConfig, VelocityField};
use crate::timestep::StrategyConfig;
use crate::{Error, Result};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The seed of the pairs and of the trajectories' noise.
const SEED: u64 = 4_000_001;
/// Times of the deficit, of the whole interval.
const TIMES: [f64; 9] = [0.01, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.97];
/// Values, all samples together, that are enough; and the least and most samples.
const VALUES: usize = 100_000;
const PAIRS: [usize; 2] = [128, 4096];
const TRAJECTORIES: [usize; 2] = [32, 512];
/// Steps of a trajectory, and points of the grids that are fitted to it.
const STEPS: usize = 48;
const POINTS: usize = 33;
const BATCH: usize = 128;

/// What was measured, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The deficit on training data.
    pub deficit: VelocityDeficit,
    /// Fitted times for solvers of order 1, and of higher order.
    pub grids: [Vec<f64>; 2],
    /// The mean variance of a value of the data.
    pub data_variance: f64,
}

impl Measured {
    /// The grid fitted for solvers of `order`.
    pub(super) fn grid(&self, order: usize) -> &[f64] {
        &self.grids[usize::from(order > 1)]
    }

    /// What `file` keeps of an experiment, measured now if it keeps nothing; none for latents and for fewer than 16 items,
    /// where nothing is measured. The trajectories have the guidance of the user's own sampler, the deficit has none.
    ///
    /// # Errors
    /// As [`Experiment::start`], [`GroundTruth::new`] and [`VelocityDeficit::measure`]; [`Error::Io`] if the file cannot be
    /// written.
    pub(super) fn of(experiment: &Experiment, guidance: Option<GuidanceConfig>, file: &Path) -> Result<Option<Self>> {
        let count = experiment.data().train.len();
        if experiment.config().data.form() == Form::Latents || count < 16 {
            return Ok(None);
        }
        if let Some(kept) = read(file) {
            return Ok(Some(kept));
        }
        let measured = Self::now(experiment, guidance)?;
        write(file, &pretty(&measured)?)?;
        Ok(Some(measured))
    }

    fn now(experiment: &Experiment, guidance: Option<GuidanceConfig>) -> Result<Self> {
        let (train, shape) = (&experiment.data().train, experiment.data().shape);
        let size: usize = shape.iter().product();
        let count = (VALUES / size).clamp(PAIRS[0], PAIRS[1]).min(train.len());
        let places = evenly(train.len(), count);
        let path = experiment.config().flow.path.build();
        let data = train.values(&places)?;
        let squares = data.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / data.len() as f64;
        let mean = data.iter().map(|value| f64::from(*value)).sum::<f64>() / data.len() as f64;
        let truth = GroundTruth::new(data, size, places.clone(), path, SEED)?;
        let network = if experiment.config().start.is_exact() { None } else { Some(experiment.start()?.0) };
        let source = |guidance| source(experiment, network.as_ref(), &places, guidance);
        let [channels, height, width] = shape;
        let interval = interval(experiment);
        let times = TIMES.map(|t| interval.map(t));
        let sized = ([count, channels, height, width], BATCH);
        let deficit =
            source(None)?.with(|field| VelocityDeficit::measure(field, &truth, &times, sized, experiment.device()))?;
        let bending = source(guidance)?.with(|field| bending(experiment, field, count))?;
        let grids = [bending.grid(1, POINTS), bending.grid(2, POINTS)];
        Ok(Self { deficit, grids, data_variance: squares - mean * mean })
    }

    /// Numbers that no model showed.
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        use crate::experiment::velocity_deficit::DeficitPoint;
        let at = |time, scale| DeficitPoint { time, scale, standard_error: 0.01, predicted: 1.0, target: 1.1 };
        let deficit = VelocityDeficit { pairs: 100, points: vec![at(0.1, 1.1), at(0.9, 1.0)] };
        Self { deficit, grids: [vec![0.0, 0.2, 1.0], vec![0.0, 0.3, 1.0]], data_variance: 0.36 }
    }
}

/// The times between which a sampler of the experiment integrates.
fn interval(experiment: &Experiment) -> TrainingInterval {
    let flow = &experiment.config().flow;
    TrainingInterval::sampling(flow.path, flow.prediction)
}

/// The field of `start`, of a network or exact.
enum Source<'a> {
    Network(Box<dyn FieldSource<4> + 'a>),
    Exact(ExactField<'a>),
}

impl Source<'_> {
    fn with<T>(&self, work: impl FnOnce(&dyn FieldSource<4>) -> Result<T>) -> Result<T> {
        match self {
            Self::Network(network) => work(network.as_ref()),
            Self::Exact(field) => work(&Exactly(field)),
        }
    }
}

fn source<'a>(
    experiment: &'a Experiment,
    network: Option<&'a Network>,
    places: &[usize],
    guidance: Option<GuidanceConfig>,
) -> Result<Source<'a>> {
    match (network, experiment.config().data.ring()) {
        (Some(network), _) => Ok(Source::Network(Box::new(networked(experiment, network, places, SEED, guidance)?))),
        (None, Some(ring)) => Ok(Source::Exact(ExactField::new(ring, &StrategyConfig::standard()))),
        (None, None) => Err(Error::Invalid("an exact field is known only for a ring".into())),
    }
}

/// How trajectories bend; at most `count` of them.
fn bending(experiment: &Experiment, source: &dyn FieldSource<4>, count: usize) -> Result<Bending> {
    let (shape, interval) = (experiment.data().shape, interval(experiment));
    let wanted = (VALUES / shape.iter().product::<usize>()).clamp(TRAJECTORIES[0], TRAJECTORIES[1]).min(count);
    let mut bending = Bending::default();
    for start in (0..wanted).step_by(BATCH) {
        let range = start..wanted.min(start + BATCH);
        let key = |i| SampleKey { seed: SEED, epoch: 0, position: i as u64 };
        let keys: Vec<_> = range.clone().map(key).collect();
        let noise = Tensor::<4>::from_data(normal(&keys, Purpose::InitialState, &shape), experiment.device());
        let field = source.generating(range)?;
        bending.add(field.as_ref() as &dyn VelocityField<4>, noise, [interval.start, interval.end], STEPS);
    }
    Ok(bending)
}
