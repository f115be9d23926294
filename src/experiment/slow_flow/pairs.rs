//! The definitions that compare states with segments of pairs, and what an exact field gives for them.
use super::inner_products::dot;
use super::nearest::Averages;
use super::resample::{Resamples, Slowed};
use super::states::{OneStep, States, Station};
use super::truth::GroundTruth;

/// `pair_independent`: state i, its own noise and data i of the ground truth, which has nothing to do with it.
///
/// An exact field has `E x_t = α_t E x1`, so its s follows from `E x_t·x0`, which is taken from the states. On the
/// linear path the bias is `[t L(0) + E x_t·x0 − (1 − t) E|x0|²] / E|x1 − x0|²`, with `L(0) = tr Var x1` the irreducible
/// loss at t = 0.
pub(super) fn independent(truth: &GroundTruth, states: &States, station: &Station, resamples: &Resamples) -> Slowed {
    let dim = truth.dim;
    let data = |i: usize| &truth.data[i % truth.count() * dim..][..dim];
    let rows = station.values.chunks_exact(dim).zip(states.noise.chunks_exact(dim)).enumerate();
    let samples: Vec<Averages> = rows.map(|(i, (x, noise))| of(x, data(i), noise)).collect();
    let path = truth.path.as_ref();
    let mut exact = Averages::of(&samples, None);
    let mean = mean(&truth.data, dim);
    exact.to_data = path.coefficients(station.time).alpha * dot(&mean, &mean);
    // Unrelated and centred noise: what differs from 0 is chance, and the same in both figures.
    let bias = station.time - exact.nearest(path);
    slowed(&samples, truth, resamples.states.iter(), Some(bias))
}

/// `pair_one_step`: the ground truth of pair i one step later, on the pair's own segment.
///
/// An exact field has `E v·u = E|v|² = E|u|² − L`. On the linear path the bias is `h L(t)/E|x1 − x0|²`, exactly. L is taken
/// as the field's own loss at t, which is the irreducible loss of an exact field and above it for any other.
pub(super) fn one_step(truth: &GroundTruth, step: &OneStep, resamples: &Resamples) -> Slowed {
    let (dim, path) = (truth.dim, truth.path.as_ref());
    let (c, width) = (path.coefficients(step.start), step.end - step.start);
    let determinant = c.d_alpha * c.sigma - c.alpha * c.d_sigma;
    let pairs = truth.data.chunks_exact(dim).zip(truth.noise.chunks_exact(dim));
    let (mut samples, mut exact) = (Vec::new(), Vec::new());
    for ((x1, x0), v) in pairs.zip(step.velocity.chunks_exact(dim)) {
        let combine =
            |a: f64, b: f64| -> Vec<f32> { x1.iter().zip(x0).map(|(x1, x0)| a as f32 * x1 + b as f32 * x0).collect() };
        let (state, target) = (combine(c.alpha, c.sigma), combine(c.d_alpha, c.d_sigma));
        let next: Vec<f32> = state.iter().zip(v).map(|(x, v)| x + width as f32 * v).collect();
        samples.push(of(&next, x1, x0));
        let loss: f64 = target.iter().zip(v).map(|(u, v)| f64::from(u - v).powi(2)).sum();
        // E v·x1 and E v·x0 of an exact field, from x1 = (σ u − σ' x)/W and x0 = (α' x − α u)/W.
        let (square, along) = (dot(&target, &target) - loss, dot(&state, &target));
        exact.push(Averages {
            to_data: dot(&state, x1) + width * (c.sigma * square - c.d_sigma * along) / determinant,
            to_noise: dot(&state, x0) + width * (c.d_alpha * along - c.alpha * square) / determinant,
            ..of(&next, x1, x0)
        });
    }
    let bias = step.end - Averages::of(&exact, None).nearest(path);
    slowed(&samples, truth, resamples.pairs.iter(), Some(bias))
}

/// `trajectory`: state i between its own noise and its own end.
pub(super) fn trajectory(truth: &GroundTruth, states: &States, station: &Station, resamples: &Resamples) -> Slowed {
    let dim = truth.dim;
    let ends = states.end.chunks_exact(dim).zip(states.noise.chunks_exact(dim));
    let samples: Vec<Averages> =
        station.values.chunks_exact(dim).zip(ends).map(|(x, (end, noise))| of(x, end, noise)).collect();
    slowed(&samples, truth, resamples.states.iter(), None)
}

fn slowed<'a>(
    samples: &[Averages],
    truth: &GroundTruth,
    resamples: impl Iterator<Item = &'a Vec<f64>>,
    bias: Option<f64>,
) -> Slowed {
    let nearest = |weights: Option<&[f64]>| Averages::of(samples, weights).nearest(truth.path.as_ref());
    Slowed { s: nearest(None), draws: resamples.map(|weights| nearest(Some(weights))).collect(), bias }
}

fn of(x: &[f32], data: &[f32], noise: &[f32]) -> Averages {
    Averages {
        data: dot(data, data),
        noise: dot(noise, noise),
        cross: dot(data, noise),
        to_data: dot(x, data),
        to_noise: dot(x, noise),
    }
}

/// The mean vector.
pub(super) fn mean(values: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim];
    for row in values.chunks_exact(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (values.len() / dim) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
