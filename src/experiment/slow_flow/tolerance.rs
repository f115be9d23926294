//! The error that a mixture range adds, and the error it repairs.
//!
//! Trained with γ, a network told t tends to `u_γ(x, t) = E[v(x, m) | x, m ∈ [(1−γ)t, t]]`, the average over the posterior
//! of the level m of x. Where x tells its own level the posterior is a spike, and γ costs nothing; where it does not,
//! `u_γ` is biased. The posterior is that of a calibrated [`TimeRegressor`], v the network itself, told m.
use super::source::FieldSource;
use super::states::velocities;
use super::{Measurement, Probe, TimeRegressor};
use crate::statistics::{deviation, mean};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;

/// Levels in [0, t] at which a field is asked, in shares of t below t; every γ is added.
const SHARES: [f64; 14] = [0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// The tolerance at one time. Errors are squared and relative to the squared velocity aimed at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TolerancePoint {
    /// The sampling timestep t that the network is told.
    pub t: f64,
    /// The slowed timestep m that the states really have.
    pub m: f64,
    /// The standard deviation with which a vector tells its own level at t.
    pub spread: f64,
    /// `E|u_γ(x_t, t) − v(x_t, t)|²` for each γ: what γ costs where nothing is slow.
    pub bias: Vec<f64>,
    /// `E|u_γ(x_m, t) − v(x_m, m)|²` for each γ: what is left wrong at the states that sampling meets.
    pub error: Vec<f64>,
}

/// How well an input tells its own noise level, for the states of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tolerance {
    /// The mixture ranges, increasing.
    pub gammas: Vec<f64>,
    /// By time.
    pub points: Vec<TolerancePoint>,
    /// The mean bias of each γ.
    pub bias: Vec<f64>,
    /// The mean error of each γ.
    pub error: Vec<f64>,
    /// The standard error of `error(γ) − error(0)`, over samples.
    pub change_standard_error: Vec<f64>,
}

impl Tolerance {
    /// Measures it at the times of `measured` before the end.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a velocity is not finite or the measurement has no such time.
    pub fn measure<const D: usize>(
        probe: &Probe<'_, D>,
        regressor: &TimeRegressor,
        source: &dyn FieldSource<D>,
        measured: &Measurement,
    ) -> Result<Self> {
        Error::if_any(probe.config.problems("probe"))?;
        let mut gammas = probe.config.gammas.clone();
        gammas.sort_by(f64::total_cmp);
        gammas.dedup();
        let mut points = Vec::new();
        let mut per_sample = vec![vec![0.0; probe.config.tolerance_samples]; gammas.len()];
        for point in measured.points.iter().filter(|point| point.t < 1.0 - 1e-9) {
            let at = At { probe, regressor, source, gammas: &gammas, t: point.t };
            let m = point.m.clamp(0.0, 1.0);
            let (bias, error) = (at.errors(point.t)?, at.errors(m)?);
            for (sums, errors) in per_sample.iter_mut().zip(&error) {
                sums.iter_mut().zip(errors).for_each(|(sum, e)| *sum += e);
            }
            let averages = |all: Vec<Vec<f64>>| all.iter().map(|errors| mean(errors)).collect();
            let spread = regressor.spread(point.t);
            points.push(TolerancePoint { t: point.t, m, spread, bias: averages(bias), error: averages(error) });
        }
        if points.is_empty() {
            return Err(Error::Invalid("a measurement without a time before the end".into()));
        }
        let over = |of: &dyn Fn(&TolerancePoint) -> f64| mean(&points.iter().map(of).collect::<Vec<_>>());
        let zero = per_sample[0].clone();
        let standard_error = |errors: &Vec<f64>| {
            let changes: Vec<f64> = errors.iter().zip(&zero).map(|(e, z)| (e - z) / points.len() as f64).collect();
            deviation(&changes) / (changes.len() as f64).sqrt()
        };
        Ok(Self {
            bias: (0..gammas.len()).map(|i| over(&|p| p.bias[i])).collect(),
            error: (0..gammas.len()).map(|i| over(&|p| p.error[i])).collect(),
            change_standard_error: per_sample.iter().map(standard_error).collect(),
            gammas,
            points,
        })
    }
}

struct At<'a, const D: usize> {
    probe: &'a Probe<'a, D>,
    regressor: &'a TimeRegressor,
    source: &'a dyn FieldSource<D>,
    gammas: &'a [f64],
    t: f64,
}

impl<const D: usize> At<'_, D> {
    /// `|u_γ(x_m, t) − v(x_m, m)|²/E|v(x_m, m)|²` of every sample, for each γ.
    fn errors(&self, m: f64) -> Result<Vec<Vec<f64>>> {
        let Probe { truth, config, shape, device } = *self.probe;
        let count = config.tolerance_samples;
        let mut states = truth.at(m);
        states.truncate(count * truth.dim);
        let ask = |told: f64| velocities(self.source, &states, told, (shape, count), device);
        let target = ask(m)?;
        let size = target.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / count as f64;
        let mut shares: Vec<f64> = SHARES.iter().chain(self.gammas).copied().collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        let told: Vec<f64> = shares.iter().map(|share| self.t * (1.0 - share)).collect();
        let fields: Vec<Vec<f32>> = told.iter().map(|told| ask(*told)).collect::<Result<_>>()?;
        let values = self.regressor.values(&states);
        let one = |i: usize| -> Vec<f64> {
            let row = i * truth.dim..(i + 1) * truth.dim;
            let logs: Vec<f64> = told.iter().map(|m| self.regressor.log_likelihood(values[i], *m)).collect();
            let mut average = vec![0.0_f64; truth.dim];
            let mut error = |gamma: &f64| {
                let inside = shares.iter().filter(|share| *share <= gamma).count();
                average.fill(0.0);
                for (weight, field) in weights(&shares[..inside], &logs).iter().zip(&fields) {
                    average.iter_mut().zip(&field[row.clone()]).for_each(|(sum, v)| *sum += weight * f64::from(*v));
                }
                let error =
                    average.iter().zip(&target[row.clone()]).map(|(average, v)| (average - f64::from(*v)).powi(2));
                error.sum::<f64>() / size.max(1e-12)
            };
            self.gammas.iter().map(&mut error).collect()
        };
        let by_sample: Vec<Vec<f64>> = (0..count).into_par_iter().map(one).collect();
        Ok((0..self.gammas.len()).map(|gamma| by_sample.iter().map(|errors| errors[gamma]).collect()).collect())
    }
}

/// Posterior weights of the levels, with the trapezoidal rule for the uniform law over the range.
fn weights(shares: &[f64], logs: &[f64]) -> Vec<f64> {
    if shares.len() == 1 {
        return vec![1.0];
    }
    let logs = &logs[..shares.len()];
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let last = shares.len() - 1;
    let width = |j: usize| 0.5 * (shares[(j + 1).min(last)] - shares[j.saturating_sub(1)]);
    let weights: Vec<f64> = logs.iter().enumerate().map(|(j, log)| width(j) * (log - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
