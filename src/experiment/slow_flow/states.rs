//! The states that a sampler reaches, kept at some of its times.
use super::source::FieldSource;
use super::truth::GroundTruth;
use crate::random::{Purpose, SampleKey, normal};
use crate::sample::Sampler;
use crate::{Error, Result, host};
use burn::tensor::{Device, Tensor, TensorData};

/// The states at one time, one vector after the other.
#[derive(Debug, Clone)]
pub struct Station {
    /// The time t.
    pub time: f64,
    /// The states.
    pub values: Vec<f32>,
}

/// Where states come from and where they end.
#[derive(Debug, Clone)]
pub struct States {
    /// The noise that each sample starts from.
    pub noise: Vec<f32>,
    /// The states, by increasing time; the last are the samples themselves.
    pub stations: Vec<Station>,
    /// The samples.
    pub end: Vec<f32>,
}

/// Velocities at the ground truth of one time.
pub(super) struct OneStep {
    pub start: f64,
    pub end: f64,
    pub velocity: Vec<f32>,
}

impl States {
    /// Runs `sampler` from the noise of `(seed, 0, position)` and keeps the states after at most `stations` of its steps,
    /// evenly chosen, the last among them.
    ///
    /// # Errors
    /// As [`Sampler::integrate`]; [`Error::Invalid`] for states that are not finite.
    pub fn record<const D: usize>(
        source: &dyn FieldSource<D>,
        sampler: &Sampler,
        shape: [usize; D],
        seed: u64,
        stations: usize,
        device: &Device,
    ) -> Result<Self> {
        let steps = sampler.times().len().saturating_sub(1);
        let chosen = chosen(steps, stations);
        let mut kept: Vec<Station> = chosen.iter().map(|_| Station { time: 0.0, values: Vec::new() }).collect();
        let (mut noise, mut end) = (Vec::new(), Vec::new());
        for start in (0..shape[0]).step_by(sampler.config().batch_size) {
            let range = start..shape[0].min(start + sampler.config().batch_size);
            let draw = |epoch: usize, purpose| {
                let key = |i| SampleKey { seed, epoch: epoch as u64, position: i as u64 };
                normal(&range.clone().map(key).collect::<Vec<_>>(), purpose, &shape[1..])
            };
            let first = draw(0, Purpose::InitialState);
            noise.extend(first.iter::<f32>());
            let mut failed = None;
            let mut observe = |reached: crate::sample::Reached<'_, D>| {
                let Some(place) = chosen.iter().position(|step| *step == reached.step) else { return };
                kept[place].time = reached.time;
                match values(reached.state.clone()) {
                    Ok(values) => kept[place].values.extend(values),
                    Err(error) => failed = Some(error),
                }
            };
            let mut increments = |step| Tensor::from_data(draw(step, Purpose::Diffusion), device);
            let field = source.generating(range.clone())?;
            let state =
                sampler.integrate(field.as_ref(), Tensor::from_data(first, device), &mut increments, &mut observe)?;
            if let Some(error) = failed {
                return Err(error);
            }
            end.extend(values(state)?);
        }
        // A stochastic solver may end with a step beyond those of its grid.
        kept.retain(|station| station.values.len() == end.len());
        Ok(Self { noise, stations: kept, end })
    }
}

impl OneStep {
    pub fn record<const D: usize>(
        source: &dyn FieldSource<D>,
        truth: &GroundTruth,
        (start, end): (f64, f64),
        (shape, batch): ([usize; D], usize),
        device: &Device,
    ) -> Result<Self> {
        let states = truth.at(start);
        Ok(Self { start, end, velocity: velocities(source, &states, start, (shape, batch), device)? })
    }
}

/// The velocities at the first `states` of the ground truth's samples, told the time `told`.
pub(in crate::experiment) fn velocities<const D: usize>(
    source: &dyn FieldSource<D>,
    states: &[f32],
    told: f64,
    (shape, batch): ([usize; D], usize),
    device: &Device,
) -> Result<Vec<f32>> {
    let dim: usize = shape[1..].iter().product();
    let mut all = Vec::with_capacity(states.len());
    for (index, rows) in states.chunks(dim * batch).enumerate() {
        let range = index * batch..index * batch + rows.len() / dim;
        let mut shape = shape;
        shape[0] = range.len();
        let x = Tensor::<D>::from_data(TensorData::new(rows.to_vec(), shape), device);
        all.extend(values(source.of_truth(range)?.velocity(x, told))?);
    }
    Ok(all)
}

fn values<const D: usize>(state: Tensor<D>) -> Result<Vec<f32>> {
    let values = host::values(state, "states")?;
    // Without an early end, which would keep it from running in lanes.
    if values.iter().fold(false, |found, value| found | !value.is_finite()) {
        return Err(Error::Invalid("states: must be finite".into()));
    }
    Ok(values)
}

/// At most `most` of the steps 1..=steps, the last among them.
fn chosen(steps: usize, most: usize) -> Vec<usize> {
    let count = most.min(steps).max(1);
    (1..=count).map(|k| steps * k / count).collect()
}
