//! A small regressor of time: how well a noisy vector tells its own level, and what level the states look like.
use super::resample::{Resamples, Slowed, weighted};
use super::truth::GroundTruth;
use crate::random::{Purpose, SampleKey, normal};
use crate::statistics::{deviation, mean};
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatMut, MatRef, Side, get_global_parallelism};

/// Levels at which it is fitted and calibrated, 0 and 1 included.
const LEVELS: usize = 41;
const BANDS: usize = 16;
/// Above this dimension random directions take the place of principal ones, whose cost is cubic.
const PRINCIPAL: usize = 512;

/// A ridge regression of time on the logarithms of the energies in bands of principal directions and their squares.
///
/// Fitted on every other pair of the ground truth and calibrated on the rest: its mean and deviation at each level
/// are known, so that a posterior of the level follows from its value.
#[derive(Debug, Clone)]
pub struct TimeRegressor {
    dim: usize,
    /// Directions, one vector after the other, by increasing variance of the data.
    directions: Vec<f32>,
    weights: Vec<f64>,
    /// Values at each level of the pairs it is calibrated on.
    held_out: Vec<Vec<f64>>,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl TimeRegressor {
    /// Fits and calibrates.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the principal directions cannot be computed.
    pub fn new(truth: &GroundTruth) -> Result<Self> {
        let dim = truth.dim;
        let directions = directions(truth, &super::pairs::mean(&truth.data, dim))?;
        let mut this = Self {
            dim,
            directions,
            weights: Vec::new(),
            held_out: Vec::new(),
            means: Vec::new(),
            deviations: Vec::new(),
        };
        let half = |values: &[f32], odd: usize| -> Vec<f32> {
            values.chunks_exact(dim).skip(odd).step_by(2).flatten().copied().collect()
        };
        let project = |odd| (this.project(&half(&truth.data, odd)), this.project(&half(&truth.noise, odd)));
        let at = |(data, noise): &(Vec<f32>, Vec<f32>), level: usize| {
            let c = truth.path.coefficients(time(level));
            let mixed: Vec<f32> =
                data.iter().zip(noise).map(|(x1, x0)| c.alpha as f32 * x1 + c.sigma as f32 * x0).collect();
            this.features(&mixed)
        };
        let fit = project(0);
        let rows: Vec<(Vec<f64>, f64)> = (0..LEVELS)
            .flat_map(|level| at(&fit, level).into_iter().map(move |features| (features, time(level))))
            .collect();
        let weights = ridge(&rows);
        let rest = project(1);
        let held_out: Vec<Vec<f64>> = (0..LEVELS)
            .map(|level| at(&rest, level).iter().map(|features| inner(features, &weights)).collect())
            .collect();
        this.means = held_out.iter().map(|values| mean(values)).collect();
        this.deviations = held_out.iter().map(|values| deviation(values).max(1e-6)).collect();
        (this.weights, this.held_out) = (weights, held_out);
        Ok(this)
    }

    /// Its value for each vector, uncalibrated.
    pub fn values(&self, states: &[f32]) -> Vec<f64> {
        self.features(&self.project(states)).iter().map(|features| inner(features, &self.weights)).collect()
    }

    /// The logarithm of the likelihood of the level `m`, but for a constant, given one of its [`values`](Self::values).
    pub fn log_likelihood(&self, value: f64, m: f64) -> f64 {
        let deviation = interpolate(&self.deviations, m);
        -0.5 * ((value - interpolate(&self.means, m)) / deviation).powi(2) - deviation.ln()
    }

    /// The standard deviation of a level read off one vector at level `m`.
    pub fn spread(&self, m: f64) -> f64 {
        let (low, high) = ((m - 0.05).max(0.0), (m + 0.05).min(1.0));
        let slope = (interpolate(&self.means, high) - interpolate(&self.means, low)) / (high - low);
        (interpolate(&self.deviations, m) / slope.max(1e-3)).min(1.0)
    }

    pub(super) fn slowed(&self, states: &[f32], resamples: &Resamples) -> Slowed {
        let values = self.values(states);
        let s = level(&self.means, mean(&values));
        let draw = |(w, v): (&[f64], &[f64])| {
            let odd: Vec<f64> = v.iter().skip(1).step_by(2).copied().collect();
            let total = mean(&odd).max(1e-9);
            let means: Vec<f64> = self.held_out.iter().map(|values| weighted(&odd, values) / total).collect();
            level(&means, weighted(w, &values))
        };
        Slowed { s, draws: resamples.iter().map(draw).collect(), bias: None }
    }

    fn project(&self, values: &[f32]) -> Vec<f32> {
        let (n, k) = (values.len() / self.dim, self.directions.len() / self.dim);
        let mut out = vec![0.0; n * k];
        let left = MatRef::from_column_major_slice(&self.directions, self.dim, k).transpose();
        let right = MatRef::from_column_major_slice(values, self.dim, n);
        let into = MatMut::from_column_major_slice_mut(&mut out, k, n);
        matmul(into, Accum::Replace, left, right, 1.0, get_global_parallelism());
        out
    }

    fn features(&self, projected: &[f32]) -> Vec<Vec<f64>> {
        let count = self.directions.len() / self.dim;
        let bands = BANDS.min(count);
        let row = |x: &[f32]| {
            let mut features = vec![1.0];
            for band in 0..bands {
                let part = &x[band * count / bands..(band + 1) * count / bands];
                let energy = part.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / part.len() as f64;
                features.push((energy + 1e-6).ln());
            }
            for i in 1..=bands {
                features.push(features[i] * features[i]);
            }
            features
        };
        projected.chunks_exact(count).map(row).collect()
    }
}

fn time(level: usize) -> f64 {
    level as f64 / (LEVELS - 1) as f64
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn interpolate(values: &[f64], m: f64) -> f64 {
    let place = m.clamp(0.0, 1.0) * (LEVELS - 1) as f64;
    let low = (place.floor() as usize).min(LEVELS - 2);
    values[low] + (values[low + 1] - values[low]) * (place - low as f64)
}

/// The level with this mean, after the means have been made to increase.
fn level(means: &[f64], value: f64) -> f64 {
    let (mut low, mut at) = (means[0], 0.0);
    if value <= low {
        return 0.0;
    }
    for (index, mean) in means.iter().enumerate().skip(1) {
        if *mean > low {
            if value <= *mean {
                return at + (time(index) - at) * (value - low) / (mean - low);
            }
            (low, at) = (*mean, time(index));
        }
    }
    1.0
}

fn directions(truth: &GroundTruth, center: &[f32]) -> Result<Vec<f32>> {
    let dim = truth.dim;
    if dim > PRINCIPAL {
        let keys: Vec<_> = (0..PRINCIPAL as u64).map(|position| SampleKey { seed: 0, epoch: 0, position }).collect();
        let scale = (dim as f32).sqrt().recip();
        return Ok(normal(&keys, Purpose::Features, &[dim]).iter::<f32>().map(|v| v * scale).collect());
    }
    let centred: Vec<f64> =
        truth.data.chunks_exact(dim).flat_map(|x| x.iter().zip(center).map(|(x, c)| f64::from(x - c))).collect();
    let rows = MatRef::from_column_major_slice(&centred, dim, truth.count());
    let mut covariance = Mat::<f64>::zeros(dim, dim);
    matmul(&mut covariance, Accum::Replace, rows, rows.transpose(), 1.0, get_global_parallelism());
    let failed = |_| Error::Invalid("data: their principal directions could not be computed".into());
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let vectors = eigen.U();
    Ok((0..dim).flat_map(|j| (0..dim).map(move |i| vectors[(i, j)] as f32)).collect())
}

fn ridge(rows: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let size = rows.first().map_or(0, |(features, _)| features.len());
    let (mut matrix, mut right) = (Mat::<f64>::zeros(size, size), Mat::<f64>::zeros(size, 1));
    for (features, target) in rows {
        for i in 0..size {
            right[(i, 0)] += features[i] * target;
            for j in 0..size {
                matrix[(i, j)] += features[i] * features[j];
            }
        }
    }
    for i in 0..size {
        matrix[(i, i)] += 1e-6 * rows.len() as f64;
    }
    let solution = matrix.partial_piv_lu().solve(&right);
    (0..size).map(|i| solution[(i, 0)]).collect()
}
