//! `exp(mean_i KL(p_i ‖ p̄))`: the Inception Score of class probabilities `p_i = p(y | x_i)` with their mean `p̄`.
//!
//! Source: Salimans et al. 2016 ([arXiv 1606.03498](https://arxiv.org/abs/1606.03498)).
use crate::{Error, Result};

/// Where the samples are cut, in the order given, into groups with a score each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Splits {
    /// Groups of this many samples, the last with what is left: OpenAI's evaluator, with 5000.
    Size(usize),
    /// This many groups of nearly equal size, group `k` of `K` being `⌊kN/K⌋ .. ⌊(k+1)N/K⌋`: torch-fidelity, with 10 after
    /// a shuffle of its own.
    Count(usize),
}

/// Mean and deviation of the scores of the groups; each score is in `[1, classes]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InceptionScore {
    /// The mean: the figure that is published.
    pub mean: f64,
    /// The standard deviation with denominator `K`, 0 for a single group. It is no standard error of the mean.
    pub deviation: f64,
}

/// The Inception Score of `probabilities`, one vector of `classes` after the other, in f64 with `0 ln 0 = 0`.
///
/// Biased downwards, the more the smaller a group: `p̄` is an average over the very samples it is compared with, which
/// takes about `Σ_c Var(p_c) / (2 n p̄_c)` from the logarithm of the score of `n` samples. Compare numbers from equal
/// splits only. It never looks at real data: a model with one good picture per class scores best.
/// # Errors
/// [`Error::Invalid`] for no classes or samples, a size that is no whole number of vectors, values outside [0, 1], a
/// vector whose sum is further than 1e-3 from 1, or splits that would leave a group empty.
pub fn inception_score<T: Copy + Into<f64>>(
    probabilities: &[T],
    classes: usize,
    splits: Splits,
) -> Result<InceptionScore> {
    let rows: Vec<f64> = probabilities.iter().map(|p| (*p).into()).collect();
    whole(&rows, classes)?;
    for (i, row) in rows.chunks_exact(classes).enumerate() {
        let sum: f64 = row.iter().sum();
        if row.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-3 {
            let message = format!("probabilities of sample {i}: must lie in [0, 1] and add up to 1 (sum {sum})");
            return Err(Error::Invalid(message));
        }
    }
    score(&rows, classes, splits)
}

/// The Inception Score of the softmax of `logits`, one vector of `classes` after the other.
///
/// Published numbers use the logits of the Inception network without their bias.
/// # Errors
/// As [`inception_score`], and for logits that are not finite.
pub fn inception_score_of_logits<T: Copy + Into<f64>>(
    logits: &[T],
    classes: usize,
    splits: Splits,
) -> Result<InceptionScore> {
    let mut rows: Vec<f64> = logits.iter().map(|logit| (*logit).into()).collect();
    whole(&rows, classes)?;
    if let Some(at) = rows.iter().position(|logit| !logit.is_finite()) {
        let message = format!("logit {} of sample {} is {}: must be finite", at % classes, at / classes, rows[at]);
        return Err(Error::Invalid(message));
    }
    for row in rows.chunks_exact_mut(classes) {
        let largest = row.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        row.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    score(&rows, classes, splits)
}

fn whole(rows: &[f64], classes: usize) -> Result<()> {
    if classes == 0 || rows.is_empty() || !rows.len().is_multiple_of(classes) {
        let message = format!("{} values: must be at least one vector of {classes} classes each", rows.len());
        return Err(Error::Invalid(message));
    }
    Ok(())
}

fn score(rows: &[f64], classes: usize, splits: Splits) -> Result<InceptionScore> {
    let samples = rows.len() / classes;
    let (name, number) = match splits {
        Splits::Size(size) => ("samples in a group", size),
        Splits::Count(count) => ("groups", count),
    };
    if number == 0 || (matches!(splits, Splits::Count(_)) && number > samples) {
        return Err(Error::Invalid(format!("{number} {name} of {samples} samples: no group may be empty")));
    }
    let group = |from: usize, to: usize| group_score(&rows[from * classes..to * classes], classes);
    let scores: Vec<f64> = match splits {
        Splits::Size(size) => {
            (0..samples).step_by(size).map(|at| group(at, at.saturating_add(size).min(samples))).collect()
        }
        Splits::Count(count) => (0..count).map(|k| group(k * samples / count, (k + 1) * samples / count)).collect(),
    };
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    Ok(InceptionScore { mean, deviation: variance.sqrt() })
}

fn group_score(rows: &[f64], classes: usize) -> f64 {
    let count = (rows.len() / classes) as f64;
    let mut marginal = vec![0.0; classes];
    for row in rows.chunks_exact(classes) {
        marginal.iter_mut().zip(row).for_each(|(sum, p)| *sum += p / count);
    }
    // p̄ = 0 only where every p is: those terms are left out.
    let term = |(p, mean): (&f64, &f64)| if *p > 0.0 { p * (p / mean).ln() } else { 0.0 };
    let divergence: f64 = rows.chunks_exact(classes).flat_map(|row| row.iter().zip(&marginal)).map(term).sum();
    (divergence / count).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_and_varied_samples_score_the_number_of_classes() {
        let diagonal: Vec<f32> = (0..9).map(|i| f32::from(u8::from(i / 3 == i % 3))).collect();
        let found = inception_score(&diagonal, 3, Splits::Count(1)).unwrap();
        assert!((found.mean - 3.0).abs() < 1e-12 && found.deviation == 0.0);
        let uncertain = inception_score(&[0.25; 40], 4, Splits::Size(5)).unwrap();
        assert!((uncertain.mean - 1.0).abs() < 1e-12 && uncertain.deviation < 1e-12);
    }

    #[test]
    fn two_samples_by_hand() {
        // p̄ = (1/2, 1/2); KL of each: 0.75 ln 1.5 + 0.25 ln 0.5.
        let expected = (0.75f64 * 1.5f64.ln() + 0.25 * 0.5f64.ln()).exp();
        for splits in [Splits::Size(2), Splits::Size(usize::MAX), Splits::Count(1)] {
            let found = inception_score(&[0.75, 0.25, 0.25, 0.75], 2, splits).unwrap();
            assert!((found.mean - expected).abs() < 1e-12);
        }
        // Alone, a sample is its own marginal.
        let alone = inception_score(&[0.75, 0.25, 0.25, 0.75], 2, Splits::Size(1)).unwrap();
        assert_eq!(alone, InceptionScore { mean: 1.0, deviation: 0.0 });
    }

    #[test]
    fn uneven_splits_cover_every_sample() {
        let rows = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        // Groups of samples 0..2 and 2..5 by count, 0..2, 2..4 and 4..5 by size.
        let by_count = inception_score(&rows, 2, Splits::Count(2)).unwrap();
        let third: f64 = (1.0f64 / 3.0 * 3.0f64.ln() + 2.0 / 3.0 * 1.5f64.ln()).exp();
        assert!((by_count.mean - f64::midpoint(1.0, third)).abs() < 1e-12);
        assert!((by_count.deviation - (third - 1.0) / 2.0).abs() < 1e-12);
        let by_size = inception_score(&rows, 2, Splits::Size(2)).unwrap();
        assert!((by_size.mean - 4.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn logits_of_any_size_are_taken() {
        let logits = [1000.0, 1000.0 + 3.0f64.ln(), -2000.0 + 3.0f64.ln(), -2000.0];
        let found = inception_score_of_logits(&logits, 2, Splits::Count(1)).unwrap();
        let expected = inception_score(&[0.25, 0.75, 0.75, 0.25], 2, Splits::Count(1)).unwrap();
        assert!((found.mean - expected.mean).abs() < 1e-12);
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let all = Splits::Count(1);
        for bad in [&[][..], &[0.5], &[0.5, 0.4], &[1.5, -0.5], &[f64::NAN, 1.0]] {
            assert!(inception_score(bad, 2, all).is_err(), "{bad:?}");
        }
        assert!(inception_score_of_logits(&[f64::INFINITY, 0.0], 2, all).is_err());
        assert!(inception_score_of_logits(&[0.0], 0, all).is_err());
        for splits in [Splits::Count(0), Splits::Size(0), Splits::Count(2)] {
            assert!(inception_score(&[0.5, 0.5], 2, splits).is_err(), "{splits:?}");
        }
    }
}
