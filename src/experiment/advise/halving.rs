//! Successive halving: many candidates with few seeds, the better half of them with twice as many, and so on.
//!
//! Every candidate is sampled from the same noise under the same seeds (common random numbers), so that a ranking by the
//! mean logarithm of the distance is a paired one.
use crate::experiment::statistics::mean;

/// No more halving below this number of candidates: they are what is reported.
const FINALISTS: usize = 5;

/// One round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Candidates in it, the user's own not counted.
    pub candidates: usize,
    /// Seeds that each has by its end.
    pub seeds: usize,
}

/// The rounds for `candidates`, from `first` seeds to `most`: halved and doubled until either end is reached.
pub(super) fn rounds(candidates: usize, first: usize, most: usize) -> Vec<Round> {
    let (mut now, mut all) = (Round { candidates, seeds: first.min(most) }, Vec::new());
    loop {
        all.push(now);
        if now.seeds >= most {
            return all;
        }
        let candidates = now.candidates.min(now.candidates.div_ceil(2).max(FINALISTS));
        now = Round { candidates, seeds: (2 * now.seeds).min(most) };
    }
}

/// Cells that the rounds take, the user's own, which is in all of them, included.
pub(super) fn cells(rounds: &[Round]) -> usize {
    let (mut before, mut all) = (0, 0);
    for round in rounds {
        all += (round.candidates + 1) * (round.seeds - before);
        before = round.seeds;
    }
    all
}

/// The `keep` nearest of `candidates`, the nearest first, by their distances over common seeds; whoever has a distance that
/// is not positive and finite is the last.
pub(super) fn nearest(candidates: &[Vec<f64>], keep: usize) -> Vec<usize> {
    let score = |distances: &Vec<f64>| {
        let known = !distances.is_empty() && distances.iter().all(|d| *d > 0.0 && d.is_finite());
        if known { mean(&distances.iter().map(|d| d.ln()).collect::<Vec<_>>()) } else { f64::INFINITY }
    };
    let scores: Vec<f64> = candidates.iter().map(score).collect();
    let mut places: Vec<usize> = (0..candidates.len()).collect();
    places.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    places.truncate(keep);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(candidates: usize, seeds: usize) -> Round {
        Round { candidates, seeds }
    }

    #[test]
    fn candidates_are_halved_and_seeds_doubled() {
        assert_eq!(rounds(24, 2, 8), [round(24, 2), round(12, 4), round(6, 8)]);
        assert_eq!(rounds(8, 1, 4), [round(8, 1), round(5, 2), round(5, 4)]);
        assert_eq!(rounds(3, 2, 6), [round(3, 2), round(3, 4), round(3, 6)]);
        assert_eq!(rounds(3, 4, 2), [round(3, 2)]);
        // A seed more costs each of those that stay one cell, and the user's own another.
        assert_eq!(cells(&rounds(24, 2, 8)), 25 * 2 + 13 * 2 + 7 * 4);
        assert_eq!(cells(&rounds(0, 2, 2)), 2);
    }

    #[test]
    fn the_nearest_come_first_whatever_the_scale_of_a_seed() {
        // The second seed is a hundred times as far for all of them, and says nothing by that.
        let candidates = [vec![1.0, 100.0], vec![0.9, 95.0], vec![1.1, 80.0], vec![f64::NAN, 1.0], vec![0.0, 0.1]];
        assert_eq!(nearest(&candidates, 3), [1, 2, 0]);
        assert_eq!(nearest(&candidates, 9).len(), 5);
        assert_eq!(nearest(&[vec![]], 2), [0]);
    }

    /// A candidate that is nearer by a fifth survives noise of a tenth, shared over candidates and not.
    #[test]
    fn the_best_survives() {
        let noise = |i: usize, seed: usize| 1.0 + 0.1 * ((i * 7919 + seed * 104_729) % 17) as f64 / 17.0;
        let truth = |i: usize| if i == 11 { 0.8 } else { 1.0 + 0.01 * i as f64 };
        let mut places: Vec<usize> = (0..24).collect();
        for round in rounds(24, 2, 8) {
            places.truncate(round.candidates);
            let found: Vec<Vec<f64>> = places
                .iter()
                .map(|i| (0..round.seeds).map(|seed| (1 + seed) as f64 * truth(*i) * noise(*i, seed)).collect())
                .collect();
            places = nearest(&found, places.len()).into_iter().map(|place| places[place]).collect();
        }
        assert_eq!(places[0], 11);
    }
}
