//! `m = argmin_s 2 E|X − G_s| − E|G_s − G_s'|`: the ground-truth set nearest in energy distance.
use super::minimise::look;
use super::pair_distances::FromTruth;
use super::resample::{Resamples, Slowed, weighted};
use super::truth::GroundTruth;
use crate::statistics::mean;

/// Half the width of the parabola that the minimum is taken from, and that of every resample.
const WIDTH: f64 = 0.03;

/// Parabolas tried, each around the least point of the one before.
const MOST_ROUNDS: usize = 12;

/// Every so many of the states are enough to find the neighbourhood of the minimum.
const FIRST_LOOK: usize = 16;

/// The search among the ground-truth sets, with what its first looks have in common.
pub(super) struct Search<'a> {
    truth: &'a GroundTruth,
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
        Self { truth, within: Vec::new() }
    }

    pub fn slowed(&mut self, states: &[f32], resamples: &Resamples) -> Slowed {
        let set = FromTruth::new(self.truth, states);
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
        let set = FromTruth::new(self.truth, states);
        self.at(&set, s).distance()
    }

    fn at(&mut self, set: &FromTruth, s: f64) -> At {
        let within = self.within(s);
        let (mut states, mut pairs) = set.mean_distances(self.truth, s);
        let (between, inner) = (mean(&states), mean(&within));
        states.iter_mut().for_each(|value| *value *= 2.0);
        // First order of both averages over pairs in the weights of the samples.
        pairs.iter_mut().zip(&within).for_each(|(value, within)| *value = 2.0 * *value - 2.0 * within);
        At { states, pairs, constant: inner - 2.0 * between }
    }

    /// The mean distance of each ground-truth sample at `s` to the others; kept, as every search begins alike.
    fn within(&mut self, s: f64) -> Vec<f64> {
        if let Some((_, known)) = self.within.iter().find(|(at, _)| *at == s) {
            return known.clone();
        }
        let found = self.truth.products().mean_distances(self.truth.path.coefficients(s));
        self.within.push((s, found.clone()));
        found
    }
}

/// Where the parabola through values at −1, 0, 1 is least; the lower end if it is not convex.
fn vertex([low, middle, high]: [f64; 3]) -> f64 {
    let curvature = low - 2.0 * middle + high;
    if curvature > 0.0 { 0.5 * (low - high) / curvature } else { (low - high).signum() }
}
