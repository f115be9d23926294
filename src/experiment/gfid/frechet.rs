//! A Fréchet distance with its error over draws of the samples: a jackknife by groups.
//!
//! With the distance `d` and `d_g` without group `g` of `G`, the standard error is
//! `√((G − 1)/G Σ (d_g − d̄)²)` and the bias `(G − 1)(d̄ − d)`, `d̄` the mean of the `d_g` (Quenouille 1956, Tukey 1958).
use super::law::Law;
use crate::evaluate::{FrechetReference, Moments, frechet_distance_of_samples};
use crate::random::{Purpose, SampleKey};
use crate::{Error, Result};
use rand::seq::index;

/// Groups that are left out in turn; each costs one decomposition.
pub(super) const GROUPS: usize = 10;

/// A distance, and what chance does to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frechet {
    pub value: f64,
    /// With `GROUPS − 1` degrees of freedom; none for few samples.
    pub standard_error: Option<f64>,
    /// How much larger it is than it would be of endless samples, to first order; none for few samples, where that is wrong.
    pub bias: Option<f64>,
}

/// The distance of `samples`, vectors of `dimensions`, from `reference`. Chance chooses the groups, by `seed`, for samples
/// may be sorted by class.
pub(super) fn distance(
    reference: &Law,
    samples: &[f32],
    dimensions: usize,
    jackknife: bool,
    seed: u64,
) -> Result<Frechet> {
    if !reference.fits(dimensions) {
        return Err(Error::Invalid(format!("the reference is not of {dimensions} features: it is of another network")));
    }
    let count = samples.len() / dimensions;
    let has_groups = jackknife && count >= 2 * GROUPS;
    let group = Groups::new(count, seed);
    let (value, left_out) = match reference {
        Law::Rows(reference) => {
            let of = |rows: &[f32]| frechet_distance_of_samples(rows, reference, dimensions);
            let without = |g| of(&group.rows(samples, dimensions, |other| other != g));
            (of(samples)?, has_groups.then(|| (0..GROUPS).map(without).collect::<Result<Vec<_>>>()).transpose()?)
        }
        Law::Gaussian { mean, covariance } => {
            let reference = FrechetReference::of_gaussian(mean.clone(), covariance)?;
            let moments = |rows: &[f32]| {
                let mut moments = Moments::new(dimensions);
                moments.push(rows)?;
                Ok::<_, Error>(moments)
            };
            let whole = moments(samples)?;
            let without = |g| {
                let part = moments(&group.rows(samples, dimensions, |other| other == g))?;
                reference.distance(&whole.without(&part)?)
            };
            let left_out = has_groups.then(|| (0..GROUPS).map(without).collect::<Result<Vec<_>>>()).transpose()?;
            (reference.distance(&whole)?, left_out)
        }
    };
    let Some(left_out) = left_out else { return Ok(Frechet { value, standard_error: None, bias: None }) };
    let groups = GROUPS as f64;
    let mean = left_out.iter().sum::<f64>() / groups;
    let spread: f64 = left_out.iter().map(|one| (one - mean).powi(2)).sum();
    let standard_error = Some(((groups - 1.0) / groups * spread).sqrt());
    let bias = (count >= 2 * dimensions).then_some((groups - 1.0) * (mean - value));
    Ok(Frechet { value, standard_error, bias })
}

/// To which group each sample belongs.
struct Groups(Vec<usize>);

impl Groups {
    fn new(count: usize, seed: u64) -> Self {
        let mut rng = SampleKey { seed, epoch: 0, position: 0 }.rng(Purpose::Bootstrap);
        let mut groups = vec![0; count];
        for (rank, sample) in index::sample(&mut rng, count, count).into_iter().enumerate() {
            groups[sample] = rank % GROUPS;
        }
        Self(groups)
    }

    fn rows(&self, samples: &[f32], dimensions: usize, is_wanted: impl Fn(usize) -> bool) -> Vec<f32> {
        let rows = samples.chunks_exact(dimensions).zip(&self.0).filter(|(_, group)| is_wanted(**group));
        rows.flat_map(|(row, _)| row).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::law::Gathered;
    use super::*;
    use crate::random::normal;

    const DIM: usize = 6;

    fn gaussian(count: u64, seed: u64, shift: f32) -> Vec<f32> {
        let keys: Vec<_> = (0..count).map(|position| SampleKey { seed, epoch: 1, position }).collect();
        normal(&keys, Purpose::Data, &[DIM]).iter::<f32>().map(|x| x + shift).collect()
    }

    fn law(rows: &[f32]) -> Law {
        let mut gathered = Gathered::new(rows.len() / DIM, DIM);
        gathered.push(rows).unwrap();
        gathered.law().unwrap()
    }

    #[test]
    fn the_error_and_the_bias_are_those_of_repeated_draws() {
        let (reference, repeats, count) = (law(&gaussian(20_000, 1, 0.5)), 60, 400);
        let draws: Vec<Frechet> =
            (0..repeats).map(|i| distance(&reference, &gaussian(count, 100 + i, 0.0), DIM, true, i).unwrap()).collect();
        let mean = |of: &dyn Fn(&Frechet) -> f64| draws.iter().map(of).sum::<f64>() / repeats as f64;
        let value = mean(&|one| one.value);
        let real = (mean(&|one| (one.value - value).powi(2))).sqrt();
        let told = mean(&|one| one.standard_error.unwrap());
        assert!((told / real - 1.0).abs() < 0.3, "told {told}, real {real}");
        let exact = DIM as f64 * 0.25;
        let (bias, told) = (value - exact, mean(&|one| one.bias.unwrap()));
        assert!((told - bias).abs() < 0.4 * bias, "told {told}, real {bias}");
    }

    #[test]
    fn groups_are_of_one_size_and_few_samples_have_no_error() {
        let groups = Groups::new(25, 3).0;
        let sizes: Vec<usize> = (0..GROUPS).map(|g| groups.iter().filter(|other| **other == g).count()).collect();
        assert_eq!(sizes, [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]);
        assert_ne!(groups, Groups::new(25, 4).0);
        let reference = law(&gaussian(50, 1, 0.0));
        let few = distance(&reference, &gaussian(19, 2, 0.0), DIM, true, 0).unwrap();
        assert_eq!((few.standard_error, few.bias), (None, None));
        assert!(distance(&reference, &gaussian(20, 2, 0.0), DIM, true, 0).unwrap().standard_error.is_some());
    }

    #[test]
    fn vectors_and_moments_of_one_reference_agree() {
        let (rows, samples) = (gaussian(40, 1, 0.3), gaussian(60, 2, 0.0));
        let [a, b] = [Law::Rows(rows.clone()), law(&rows)].map(|law| distance(&law, &samples, DIM, true, 0).unwrap());
        assert!(matches!(law(&rows), Law::Gaussian { .. }));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * a.abs();
        assert!(close(a.value, b.value) && close(a.standard_error.unwrap(), b.standard_error.unwrap()), "{a:?} {b:?}");
        assert!(distance(&law(&rows), &samples, 4, true, 0).is_err());
    }
}
