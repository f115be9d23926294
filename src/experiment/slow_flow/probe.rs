//! The measurement: t − m at several times, by any of the definitions.
use super::distribution::Search;
use super::resample::{Resamples, Slowed, quantile};
use super::source::FieldSource;
use super::states::{OneStep, States};
use super::{Definition, GroundTruth, ProbeConfig, TimeRegressor, pairs, variance};
use crate::sample::Sampler;
use crate::statistics::{deviation, mean};
use crate::{Error, Result};
use burn::tensor::Device;
use serde::Serialize;

/// A figure with its bootstrap interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The standard deviation over the resamples.
    pub standard_error: f64,
    /// The figure of each resample; those of equal seeds and sample counts are paired.
    #[serde(skip)]
    pub draws: Vec<f64>,
}

impl Estimate {
    /// The figure, held within the interval's quantiles of the draws.
    fn new(value: f64, draws: Vec<f64>, confidence: f64) -> Self {
        let tail = 0.5 * (1.0 - confidence);
        let (low, high) = (quantile(&draws, tail).min(value), quantile(&draws, 1.0 - tail).max(value));
        Self { value, low, high, standard_error: deviation(&draws), draws }
    }

    /// `self − other`, resample by resample.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they have different numbers of resamples.
    pub fn less(&self, other: &Self, confidence: f64) -> Result<Self> {
        if self.draws.len() != other.draws.len() {
            return Err(Error::Invalid("estimates to compare: must have equal numbers of resamples".into()));
        }
        let draws = self.draws.iter().zip(&other.draws).map(|(a, b)| a - b).collect();
        Ok(Self::new(self.value - other.value, draws, confidence))
    }

    /// Whether the interval holds 0.
    pub fn holds_zero(&self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

/// What was found at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The sampling timestep t.
    pub t: f64,
    /// The slowed timestep m.
    pub m: f64,
    /// t − m: positive where the states are slow.
    pub slowness: Estimate,
    /// What t − m is for an exact field, where that is not 0 and known.
    pub bias: Option<f64>,
}

/// One definition at one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The definition.
    pub definition: Definition,
    /// Steps of the sampler.
    pub steps: usize,
    /// Network evaluations per sample, if they do not depend on the states.
    pub evaluations: Option<usize>,
    /// By increasing time; the last is usually the end.
    pub points: Vec<Point>,
    /// The mean of t − m over the times before the end, where m can lie on either side of t.
    pub mean: Estimate,
    /// The mean bias over the same times.
    pub bias: Option<f64>,
}

/// What stays the same for every model and budget.
#[derive(Debug)]
pub struct Probe<'a, const D: usize> {
    /// The ground truth.
    pub truth: &'a GroundTruth,
    /// The configuration.
    pub config: &'a ProbeConfig,
    /// The shape of the samples but for their number, which is that of the configuration.
    pub shape: [usize; D],
    /// Where fields are evaluated.
    pub device: &'a Device,
}

/// Measures the states of `sampler` by every configured definition.
///
/// # Errors
/// As [`States::record`]; [`Error::Config`] for values out of range; [`Error::Invalid`] if shape and ground truth do not
/// agree or the sampler has fewer than two steps.
pub fn measure<const D: usize>(
    probe: &Probe<'_, D>,
    source: &dyn FieldSource<D>,
    sampler: &Sampler,
) -> Result<Vec<Measurement>> {
    let Probe { truth, config, device, .. } = *probe;
    Error::if_any(config.problems("probe"))?;
    let mut shape = probe.shape;
    shape[0] = config.samples;
    if shape[1..].iter().product::<usize>() != truth.dim {
        return Err(Error::Invalid(format!("shape {shape:?}: the ground truth has {} values", truth.dim)));
    }
    let states = States::record(source, sampler, shape, config.seed, config.times, device)?;
    if states.stations.len() < 2 {
        return Err(Error::Invalid("sampler: must have at least 2 steps".into()));
    }
    let resamples = Resamples::new(config.samples, truth.count(), config.resamples, config.seed);
    let times = sampler.times();
    let end = times.last().copied().unwrap_or(1.0);
    let mut found = Vec::new();
    for &definition in &config.definitions {
        let slowed = by(definition, probe, source, sampler, &states, &resamples)?;
        let estimate = |t: f64, slowed: &Slowed| {
            let draws = slowed.draws.iter().map(|s| t - s).collect();
            Estimate::new(t - slowed.s, draws, config.confidence)
        };
        let points: Vec<Point> = states
            .stations
            .iter()
            .zip(&slowed)
            .map(|(at, s)| Point { t: at.time, m: s.s, slowness: estimate(at.time, s), bias: s.bias })
            .collect();
        let inner: Vec<&Point> = points.iter().filter(|point| point.t < end - 1e-9).collect();
        let draws = (0..config.resamples)
            .map(|i| mean(&inner.iter().map(|point| point.slowness.draws[i]).collect::<Vec<_>>()))
            .collect();
        let value = mean(&inner.iter().map(|point| point.slowness.value).collect::<Vec<_>>());
        let biases: Vec<f64> = inner.iter().filter_map(|point| point.bias).collect();
        found.push(Measurement {
            definition,
            steps: times.len() - 1,
            evaluations: sampler.config().evaluations(),
            mean: Estimate::new(value, draws, config.confidence),
            bias: (!biases.is_empty()).then(|| mean(&biases)),
            points,
        });
    }
    Ok(found)
}

fn by<const D: usize>(
    definition: Definition,
    probe: &Probe<'_, D>,
    source: &dyn FieldSource<D>,
    sampler: &Sampler,
    states: &States,
    resamples: &Resamples,
) -> Result<Vec<Slowed>> {
    let Probe { truth, shape, device, .. } = *probe;
    let stations = states.stations.iter();
    Ok(match definition {
        Definition::Distribution => {
            let mut search = Search::new(truth);
            stations.map(|at| search.slowed(&at.values, resamples)).collect()
        }
        Definition::Regressor => {
            let regressor = TimeRegressor::new(truth)?;
            stations.map(|at| regressor.slowed(&at.values, resamples)).collect()
        }
        Definition::Variance => stations.map(|at| variance::slowed(truth, &at.values, at.time, resamples)).collect(),
        Definition::PairIndependent => stations.map(|at| pairs::independent(truth, states, at, resamples)).collect(),
        Definition::Trajectory => stations.map(|at| pairs::trajectory(truth, states, at, resamples)).collect(),
        Definition::PairOneStep => {
            let times = sampler.times();
            let before = |t: f64| times.iter().copied().filter(|s| *s < t - 1e-9).fold(0.0, f64::max);
            let batch = (shape, sampler.config().batch_size);
            let step = |t: f64| OneStep::record(source, truth, (before(t), t), batch, device);
            stations.map(|at| Ok(pairs::one_step(truth, &step(at.time)?, resamples))).collect::<Result<_>>()?
        }
    })
}
