//! `m = argmin_s 2 E|X − G_s| − E|G_s − G_s'|`: the ground-truth set nearest in energy distance.
//!
//! `|x − α x1 − σ x0|²` needs only the inner products of x, x1 and x0: two matrix products for each set of states, after
//! which every s costs one square root per pair, whatever the dimension and the path.
use super::minimise::look;
use super::resample::{Resamples, Slowed, mean, weighted};
use super::truth::{GroundTruth, dot};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, get_global_parallelism};

/// Half the width of the parabola that the minimum is taken from, and that of every resample.
const WIDTH: f64 = 0.03;

/// Parabolas tried, each around the least point of the one before.
const MOST_ROUNDS: usize = 12;

/// Every so many of the states are enough to find the neighbourhood of the minimum.
const FIRST_LOOK: usize = 8;

/// Inner products within the ground truth, shared by all sets of states. Memory: `12 n²` bytes for n pairs.
pub(super) struct Search<'a> {
    truth: &'a GroundTruth,
    data: Vec<f32>,
    noise: Vec<f32>,
    /// `x1_i · x0_j + x1_j · x0_i`.
    cross: Vec<f32>,
    within: Vec<(f64, Vec<f64>)>,
}

/// What each state and each pair adds to the distance at one s.
struct At {
    states: Vec<f64>,
    pairs: Vec<f64>,
    constant: f64,
}

impl At {
    fn distance(&self) -> f64 {
        mean(&self.states) + mean(&self.pairs) + self.constant
    }

    fn resampled(&self, states: &[f64], pairs: &[f64]) -> f64 {
        weighted(states, &self.states) + weighted(pairs, &self.pairs) + self.constant
    }
}

impl<'a> Search<'a> {
    pub fn new(truth: &'a GroundTruth) -> Self {
        let (data, noise) =
            (products(&truth.data, &truth.data, truth.dim), products(&truth.noise, &truth.noise, truth.dim));
        let one = products(&truth.data, &truth.noise, truth.dim);
        let n = truth.count();
        let cross = (0..n * n).map(|place| one[place] + one[place % n * n + place / n]).collect();
        Self { truth, data, noise, cross, within: Vec::new() }
    }

    pub fn slowed(&mut self, states: &[f32], resamples: &Resamples) -> Slowed {
        let set = Set::new(self.truth, states);
        let few = set.every(FIRST_LOOK, self.truth.count());
        let mut centre = look(&mut |s| self.at(&few, s).distance()).clamp(WIDTH, 1.0 - WIDTH);
        let mut round = 0;
        let (s, three) = loop {
            let three = [centre - WIDTH, centre, centre + WIDTH].map(|s| self.at(&set, s));
            let least = centre + vertex([0, 1, 2].map(|i| three[i].distance())) * WIDTH;
            let next = least.clamp(centre - 2.0 * WIDTH, centre + 2.0 * WIDTH).clamp(WIDTH, 1.0 - WIDTH);
            round += 1;
            if (next - centre).abs() <= 0.3 * WIDTH || round == MOST_ROUNDS {
                break (least.clamp(0.0, 1.0), three);
            }
            centre = next;
        };
        let vertex = |values: [f64; 3]| (centre + vertex(values) * WIDTH).clamp(0.0, 1.0);
        let draws = resamples.iter().map(|(w, v)| vertex([0, 1, 2].map(|i| three[i].resampled(w, v)))).collect();
        Slowed { s, draws, bias: None }
    }

    /// The energy distance to the ground truth at `s` but for the term of the states alone.
    #[cfg(test)]
    pub fn distance(&mut self, states: &[f32], s: f64) -> f64 {
        let set = Set::new(self.truth, states);
        self.at(&set, s).distance()
    }

    fn at(&mut self, set: &Set, s: f64) -> At {
        let within = self.within(s);
        let (mut states, mut pairs) = set.mean_distances(self.truth, s, &self.squares(s));
        let (between, inner) = (mean(&states), mean(&within));
        states.iter_mut().for_each(|value| *value *= 2.0);
        // First order of both averages over pairs in the weights of the samples.
        pairs.iter_mut().zip(&within).for_each(|(value, within)| *value = 2.0 * *value - 2.0 * within);
        At { states, pairs, constant: inner - 2.0 * between }
    }

    fn squares(&self, s: f64) -> Vec<f32> {
        let (n, c) = (self.truth.count(), self.truth.path.coefficients(s));
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        let at = |i: usize| {
            let i = i * n + i;
            alpha * alpha * self.data[i] + sigma * sigma * self.noise[i] + alpha * sigma * self.cross[i]
        };
        (0..n).map(at).collect()
    }

    /// The mean distance of each ground-truth sample at `s` to the others; kept, as every search begins alike.
    fn within(&mut self, s: f64) -> Vec<f64> {
        if let Some((_, known)) = self.within.iter().find(|(at, _)| *at == s) {
            return known.clone();
        }
        let (n, c, squares) = (self.truth.count(), self.truth.path.coefficients(s), self.squares(s));
        let (alpha, sigma) = (c.alpha as f32, c.sigma as f32);
        let mut sums = vec![0.0; n];
        let mut line = vec![0.0_f32; n];
        for i in 0..n {
            let row = i * n..i * n + i;
            let products = self.data[row.clone()].iter().zip(&self.noise[row.clone()]).zip(&self.cross[row]);
            for ((distance, square), ((data, noise), cross)) in line.iter_mut().zip(&squares).zip(products) {
                let product = alpha * alpha * data + sigma * sigma * noise + alpha * sigma * cross;
                *distance = (squares[i] + square - 2.0 * product).max(0.0).sqrt();
            }
            let own = add(&line[..i], &mut sums[..i]);
            sums[i] += own;
        }
        sums.iter_mut().for_each(|sum| *sum /= (n - 1) as f64);
        self.within.push((s, sums.clone()));
        sums
    }
}

/// The inner products of a set of states with the data and the noise, pair by pair for each state.
struct Set {
    squares: Vec<f32>,
    data: Vec<f32>,
    noise: Vec<f32>,
}

impl Set {
    fn new(truth: &GroundTruth, states: &[f32]) -> Self {
        let squares = states.chunks_exact(truth.dim).map(|x| dot(x, x) as f32).collect();
        let product = |other: &[f32]| products(other, states, truth.dim);
        Self { squares, data: product(&truth.data), noise: product(&truth.noise) }
    }

    /// Every `step`-th of the states; all of them where they would be too few. `n` is the size of the ground truth.
    fn every(&self, step: usize, n: usize) -> Self {
        let step = if self.squares.len() < 32 * step { 1 } else { step };
        let rows = |all: &[f32]| all.chunks_exact(n).step_by(step).flatten().copied().collect();
        Self {
            squares: self.squares.iter().step_by(step).copied().collect(),
            data: rows(&self.data),
            noise: rows(&self.noise),
        }
    }

    /// The mean distance of each state to the ground truth at `s`, and of each sample of that to the states.
    fn mean_distances(&self, truth: &GroundTruth, s: f64, truth_squares: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let (n, c) = (truth.count(), truth.path.coefficients(s));
        let (alpha, sigma) = (2.0 * c.alpha as f32, 2.0 * c.sigma as f32);
        let mut pairs = vec![0.0_f64; n];
        let mut line = vec![0.0_f32; n];
        let rows = self.squares.iter().zip(self.data.chunks_exact(n).zip(self.noise.chunks_exact(n)));
        let states: Vec<f64> = rows
            .map(|(square, (data, noise))| {
                let others = truth_squares.iter().zip(data.iter().zip(noise));
                for (distance, (other, (data, noise))) in line.iter_mut().zip(others) {
                    *distance = (square + other - alpha * data - sigma * noise).max(0.0).sqrt();
                }
                add(&line, &mut pairs) / n as f64
            })
            .collect();
        pairs.iter_mut().for_each(|sum| *sum /= states.len() as f64);
        (states, pairs)
    }
}

/// Adds the distances to the sums of the same place, and returns their own sum. In lanes: one sum waits for its last addition.
fn add(distances: &[f32], sums: &mut [f64]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let (mut all, mut to) = (distances.chunks_exact(LANES), sums.chunks_exact_mut(LANES));
    for (distances, sums) in (&mut all).zip(&mut to) {
        for lane in 0..LANES {
            let distance = f64::from(distances[lane]);
            sums[lane] += distance;
            lanes[lane] += distance;
        }
    }
    for (distance, sum) in all.remainder().iter().zip(to.into_remainder()) {
        *sum += f64::from(*distance);
        lanes[0] += f64::from(*distance);
    }
    lanes.iter().sum()
}

/// `a · b` for every vector of `b` (outer) and of `a` (inner).
fn products(a: &[f32], b: &[f32], dim: usize) -> Vec<f32> {
    let (n, m) = (a.len() / dim, b.len() / dim);
    let mut out = vec![0.0; n * m];
    let left = MatRef::from_column_major_slice(a, dim, n).transpose();
    let right = MatRef::from_column_major_slice(b, dim, m);
    matmul(
        MatMut::from_column_major_slice_mut(&mut out, n, m),
        Accum::Replace,
        left,
        right,
        1.0,
        get_global_parallelism(),
    );
    out
}

/// Where the parabola through values at −1, 0, 1 is least; the lower end if it is not convex.
fn vertex([low, middle, high]: [f64; 3]) -> f64 {
    let curvature = low - 2.0 * middle + high;
    if curvature > 0.0 { 0.5 * (low - high) / curvature } else { (low - high).signum() }
}
