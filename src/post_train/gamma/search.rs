//! Which γ to try next: the least and two more to begin with, then the neighbours of the best, until both are worse.
use super::choice::{GammaChoice, GammaGoal, Pilot, best, curve};
use crate::{Error, Result};

/// The γ that are tried unless others are named.
pub const CANDIDATES: [f64; 11] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0];

/// Trains and samples; any closure of this form.
pub trait RunPilots {
    /// Runs a pilot at each of `gammas`, none being the control, and returns every pilot so far.
    ///
    /// # Errors
    /// Whatever stops a pilot.
    fn run(&mut self, gammas: &[Option<f64>]) -> Result<Vec<Pilot>>;
}

impl<F: FnMut(&[Option<f64>]) -> Result<Vec<Pilot>>> RunPilots for F {
    fn run(&mut self, gammas: &[Option<f64>]) -> Result<Vec<Pilot>> {
        self(gammas)
    }
}

/// Runs pilots until the best γ for every target lies between two worse ones, or at an end; one choice per target.
///
/// The least candidate is always tried. A distance with one valley over the others has its least found; one with several,
/// one of them.
///
/// # Errors
/// [`Error::Invalid`] without candidates or targets; as `pilots` and [`GammaChoice::among`].
pub fn search(candidates: &[f64], targets: &[GammaGoal], pilots: &mut impl RunPilots) -> Result<Vec<GammaChoice>> {
    let mut candidates = candidates.to_vec();
    candidates.sort_by(f64::total_cmp);
    candidates.dedup();
    if candidates.is_empty() || targets.is_empty() {
        return Err(Error::Invalid("a search for γ needs candidates and something to choose for".into()));
    }
    let count = candidates.len();
    // γ = 0 changes the law of t alone, so its distance need not lie in one valley with those of slowed timesteps.
    let mut next = vec![None, Some(candidates[0]), Some(candidates[count / 4]), Some(candidates[count / 2])];
    next.dedup();
    loop {
        let trials = pilots.run(&next)?;
        next = untried(&candidates, targets, &trials)?;
        if next.is_empty() {
            return targets.iter().map(|target| GammaChoice::among(&trials, target)).collect();
        }
    }
}

/// The neighbours of each target's best γ that have not been tried.
fn untried(candidates: &[f64], targets: &[GammaGoal], trials: &[Pilot]) -> Result<Vec<Option<f64>>> {
    let tried = |gamma: f64| trials.iter().any(|trial| trial.gamma == Some(gamma));
    let mut next: Vec<f64> = Vec::new();
    for target in targets {
        let curve = curve(trials, target)?;
        let Some(place) = best(&curve).and_then(|best| candidates.iter().position(|gamma| *gamma == best.gamma)) else {
            continue;
        };
        next.extend(&candidates[place.saturating_sub(1)..candidates.len().min(place + 2)]);
    }
    next.retain(|gamma| !tried(*gamma));
    next.sort_by(f64::total_cmp);
    next.dedup();
    Ok(next.into_iter().map(Some).collect())
}

#[cfg(test)]
mod tests {
    use super::super::choice::PilotDistances;
    use super::*;

    /// Searches a valley per target; what was tried, in its order, and what was chosen.
    fn searched(candidates: &[f64], least: &[f64], floor: f64) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
        let targets: Vec<GammaGoal> =
            (0..least.len()).map(|i| GammaGoal { distance: i.to_string(), steps: vec![9] }).collect();
        let (mut tried, mut trials) = (Vec::new(), Vec::new());
        let choices = search(candidates, &targets, &mut |gammas: &[Option<f64>]| {
            for gamma in gammas {
                assert!(!tried.contains(gamma), "{gamma:?} twice");
                tried.push(*gamma);
                let at = |least: &f64| gamma.map_or(1.0, |gamma| floor + (gamma - least).powi(2));
                let found = |(i, least): (usize, &f64)| PilotDistances {
                    distance: i.to_string(),
                    steps: 9,
                    by_seed: vec![at(least), 2.0 * at(least)],
                };
                trials.push(Pilot { gamma: *gamma, found: least.iter().enumerate().map(found).collect() });
            }
            Ok(trials.clone())
        });
        (tried, choices.unwrap().into_iter().map(|choice| choice.gamma).collect())
    }

    #[test]
    fn the_least_of_a_valley_is_found_without_trying_all() {
        for least in CANDIDATES {
            let (tried, chosen) = searched(&CANDIDATES, &[least], 0.1);
            assert_eq!(chosen, [Some(least)]);
            let most = if least > 0.7 { 11 } else { 8 };
            assert!(tried.len() <= most && tried[0].is_none(), "{least}: {tried:?}");
        }
    }

    #[test]
    fn targets_share_their_pilots() {
        let (tried, chosen) = searched(&CANDIDATES, &[0.05, 0.5], 0.1);
        assert_eq!(chosen, [Some(0.05), Some(0.5)]);
        assert!(tried.len() < 12);
    }

    #[test]
    fn the_least_candidate_is_found_apart_from_the_valley() {
        let target = GammaGoal { distance: "d".into(), steps: vec![9] };
        let mut trials = Vec::new();
        let choices = search(&CANDIDATES, &[target], &mut |gammas: &[Option<f64>]| {
            for gamma in gammas {
                let at = |gamma: f64| if gamma == 0.0 { 0.9 } else { 1.1 + (gamma - 0.2).powi(2) };
                let by_seed = vec![gamma.map_or(1.0, at)];
                trials.push(Pilot {
                    gamma: *gamma,
                    found: vec![PilotDistances { distance: "d".into(), steps: 9, by_seed }],
                });
            }
            Ok(trials.clone())
        });
        assert_eq!(choices.unwrap()[0].gamma, Some(0.0));
    }

    #[test]
    fn the_control_wins_where_every_gamma_is_worse() {
        assert_eq!(searched(&CANDIDATES, &[0.2], 1.5).1, [None]);
    }

    #[test]
    fn few_candidates_are_enough() {
        assert_eq!(searched(&[0.3], &[0.0], 0.1), (vec![None, Some(0.3)], vec![Some(0.3)]));
        assert_eq!(searched(&[0.8, 0.2], &[0.7], 0.1).1, [Some(0.8)]);
        assert!(search(&[], &[], &mut |_: &[Option<f64>]| Ok(Vec::new())).is_err());
    }
}
