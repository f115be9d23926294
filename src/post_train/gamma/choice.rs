//! `argmin_γ mean ln(distance of γ / distance of the control)` over pilots, or no γ where that gains next to nothing.
use crate::statistics::{deviation, mean};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A γ whose distance is at most this much above the best is as good for all practical purposes.
const ALIKE: f64 = 0.10;

/// A smaller gain in pilots is no reason to choose a γ: with two seeds it may well be chance, and it is worth little.
const WORTH: f64 = 0.03;

/// What a γ is chosen for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GammaGoal {
    /// The name of the distance.
    pub distance: String,
    /// Steps of the sampler; several count equally.
    pub steps: Vec<usize>,
}

/// One distance at one number of steps, for each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PilotDistances {
    /// The name of the distance.
    pub distance: String,
    /// Steps of the sampler.
    pub steps: usize,
    /// The distance to the data, by seed; positive.
    pub by_seed: Vec<f64>,
}

/// What the pilots at one γ left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pilot {
    /// The mixture range γ; none for the control, trained with the standard strategy.
    pub gamma: Option<f64>,
    /// Every distance at every number of steps.
    pub found: Vec<PilotDistances>,
}

/// One γ of the curve that a choice is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GammaCurvePoint {
    /// The mixture range γ.
    pub gamma: f64,
    /// The geometric mean of the distance over steps and seeds.
    pub distance: f64,
    /// The geometric mean of the ratio to the control, less 1; negative where γ comes closer to the data.
    pub change: f64,
    /// Its standard error over the seeds; none for one seed.
    pub standard_error: Option<f64>,
}

/// The γ that pilots chose, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GammaChoice {
    /// What it is for.
    pub target: GammaGoal,
    /// The mixture range γ; none where the best came less than 3 % closer to the data than the control.
    pub gamma: Option<f64>,
    /// The least and the largest γ tried that come within a tenth of the best distance.
    pub range: Option<[f64; 2]>,
    /// Why, in plain words: which pilots, then the verdict, then what else there is to know.
    pub reasons: Vec<String>,
    /// Every γ tried, increasing.
    pub curve: Vec<GammaCurvePoint>,
}

impl Pilot {
    /// The logarithm of the distances for `target` by seed, the mean over its steps.
    fn logarithms(&self, target: &GammaGoal) -> Result<Vec<f64>> {
        let name = self.gamma.map_or("the control".into(), |gamma| format!("γ = {gamma}"));
        let of = |steps: &usize| {
            let fits = |found: &&PilotDistances| found.distance == target.distance && found.steps == *steps;
            let found =
                self.found.iter().find(fits).ok_or_else(|| {
                    Error::Invalid(format!("pilots: {name} has no {} at {steps} steps", target.distance))
                })?;
            if found.by_seed.is_empty() || found.by_seed.iter().any(|d| !(*d > 0.0 && d.is_finite())) {
                let message = format!("pilots: {} of {name} at {steps} steps: must be positive", target.distance);
                return Err(Error::Invalid(message));
            }
            Ok(found.by_seed.as_slice())
        };
        let all: Vec<&[f64]> = target.steps.iter().map(of).collect::<Result<_>>()?;
        let seeds = all.iter().map(|by_seed| by_seed.len()).min().unwrap_or(0);
        Ok((0..seeds).map(|seed| mean(&all.iter().map(|d| d[seed].ln()).collect::<Vec<_>>())).collect())
    }
}

/// The curve of the γ tried, increasing.
pub(super) fn curve(trials: &[Pilot], target: &GammaGoal) -> Result<Vec<GammaCurvePoint>> {
    let control = trials.iter().find(|trial| trial.gamma.is_none());
    let control = control.ok_or_else(|| Error::Invalid("pilots: must hold a control".into()))?.logarithms(target)?;
    let mut points = Vec::new();
    for (gamma, trial) in trials.iter().filter_map(|trial| Some((trial.gamma?, trial))) {
        let own = trial.logarithms(target)?;
        if own.len() != control.len() || own.is_empty() {
            let message = format!("pilots: γ = {gamma} and the control must have as many seeds, at least one");
            return Err(Error::Invalid(message));
        }
        let changes: Vec<f64> = own.iter().zip(&control).map(|(own, control)| own - control).collect();
        let ratio = mean(&changes).exp();
        let standard_error = (changes.len() > 1).then(|| ratio * deviation(&changes) / (changes.len() as f64).sqrt());
        points.push(GammaCurvePoint { gamma, distance: mean(&own).exp(), change: ratio - 1.0, standard_error });
    }
    points.sort_by(|a, b| a.gamma.total_cmp(&b.gamma));
    Ok(points)
}

/// The point of the least distance; the lesser γ of two alike.
pub(super) fn best(curve: &[GammaCurvePoint]) -> Option<&GammaCurvePoint> {
    curve.iter().reduce(|best, point| if point.change < best.change { point } else { best })
}

impl GammaChoice {
    /// The γ that comes closest to the data; none if it comes less than 3 % closer than the control does.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a control, without a γ, for distances that are absent or not positive, or for γ with
    /// another number of seeds than the control.
    pub fn among(trials: &[Pilot], target: &GammaGoal) -> Result<Self> {
        let curve = curve(trials, target)?;
        let best = best(&curve).ok_or_else(|| Error::Invalid("pilots: must hold a γ".into()))?.clone();
        let steps = target.steps.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let tried = curve.iter().map(|point| point.gamma.to_string()).collect::<Vec<_>>().join(", ");
        let mut reasons = vec![format!("pilots: a control, and γ = {tried}; {} at {steps} steps", target.distance)];
        let helps = best.change < -WORTH;
        let chance = best.standard_error.is_some_and(|error| best.change.abs() < 2.0 * error);
        if helps {
            let how = percent(best.change.abs(), best.standard_error);
            reasons.push(format!("γ = {} comes {how} closer to the data than the control does", best.gamma));
            if chance {
                reasons.push("that is within two standard errors; more seeds would tell whether it is chance".into());
            }
        } else if best.change < 0.0 {
            let how = percent(best.change.abs(), best.standard_error);
            reasons.push(format!(
                "no γ comes {:.0} % closer to the data than the control does; the nearest, γ = {}, only {how}: MixFlow is not \
                 expected to help at {steps} steps",
                100.0 * WORTH,
                best.gamma
            ));
        } else {
            let how = percent(best.change, best.standard_error);
            reasons.push(format!(
                "no γ comes closer to the data than the control does; the nearest, γ = {}, is {how} further away: MixFlow is \
                 not expected to help at {steps} steps",
                best.gamma
            ));
        }
        let alike: Vec<f64> =
            curve.iter().filter(|p| 1.0 + p.change <= (1.0 + best.change) * (1.0 + ALIKE)).map(|p| p.gamma).collect();
        let range = [alike.first().copied().unwrap_or(best.gamma), alike.last().copied().unwrap_or(best.gamma)];
        if helps && alike.len() > 1 {
            reasons.push(format!("γ from {} to {} are within {:.0} % of it", range[0], range[1], 100.0 * ALIKE));
        }
        if let Some(last) = curve.last().filter(|last| helps && last.gamma > range[1]) {
            let how = percent(last.change.abs(), last.standard_error);
            let than = if last.change > 0.0 { "further away than" } else { "closer than" };
            reasons.push(format!("a larger γ is too much: γ = {} is {how} {than} the control", last.gamma));
        }
        let (gamma, range) = if helps { (Some(best.gamma), Some(range)) } else { (None, None) };
        Ok(Self { target: target.clone(), gamma, range, reasons, curve })
    }

    /// Adds to the reasons that the distance can tell little, where the control's samples are already as near to the data
    /// that they are compared with as other real data are, `floor` away.
    pub fn compare_with_floor(&mut self, floor: f64) {
        let Some(point) = self.curve.first() else { return };
        let control = point.distance / (1.0 + point.change);
        if control <= floor {
            self.reasons.push(format!(
                "the control's samples are as near to the data as other real data are, at {:.2} of their distance: between models \
                 this near, the distance tells little",
                control / floor
            ));
        }
    }

    /// The chosen γ, where training cannot go on without one.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the verdict if none was chosen.
    pub fn decided(&self) -> Result<f64> {
        self.gamma.ok_or_else(|| {
            let why = self.reasons.get(1).map_or("", String::as_str);
            Error::Invalid(format!("gamma = \"auto\": {why}; write a number to post-train all the same"))
        })
    }
}

fn percent(share: f64, error: Option<f64>) -> String {
    let error = error.map_or(String::new(), |error| format!(" ± {:.0}", 100.0 * error));
    format!("{:.0}{error} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(gamma: Option<f64>, by_seed: &[f64]) -> Pilot {
        Pilot { gamma, found: vec![PilotDistances { distance: "d".into(), steps: 5, by_seed: by_seed.to_vec() }] }
    }

    fn target() -> GammaGoal {
        GammaGoal { distance: "d".into(), steps: vec![5] }
    }

    #[test]
    fn the_nearest_is_chosen_with_its_neighbours() {
        let trials = [
            trial(None, &[2.0, 4.0]),
            trial(Some(0.4), &[1.0, 2.0]),
            trial(Some(0.1), &[1.9, 3.8]),
            trial(Some(0.3), &[1.05, 2.1]),
            trial(Some(1.0), &[6.0, 12.0]),
        ];
        let choice = GammaChoice::among(&trials, &target()).unwrap();
        assert_eq!((choice.gamma, choice.range), (Some(0.4), Some([0.3, 0.4])));
        let best = &choice.curve[2];
        assert!((best.change + 0.5).abs() < 1e-12 && best.standard_error.unwrap() < 1e-12);
        assert!((best.distance - 2f64.sqrt()).abs() < 1e-12);
        let text = choice.reasons.join("\n");
        for part in
            ["γ = 0.4 comes 50 ± 0 % closer", "γ from 0.3 to 0.4", "a larger γ is too much: γ = 1 is 200 ± 0 % further"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_found() {
        let trials = [trial(None, &[1.0, 1.0]), trial(Some(0.1), &[1.0, 1.2]), trial(Some(0.4), &[2.0, 2.0])];
        let mut choice = GammaChoice::among(&trials, &target()).unwrap();
        choice.reasons.push("what else there is to know".into());
        assert_eq!((choice.gamma, choice.range), (None, None));
        assert!(choice.reasons[1].contains("no γ comes closer") && choice.reasons[1].contains("at 5 steps"));
        assert!(choice.reasons[1].contains("γ = 0.1, is 10"), "{:?}", choice.reasons);
        assert!(choice.decided().unwrap_err().to_string().starts_with("gamma = \"auto\": no γ comes closer"));
    }

    #[test]
    fn a_control_as_near_as_real_data_is_named() {
        let mut choice = GammaChoice::among(&[trial(None, &[2.0]), trial(Some(0.1), &[1.0])], &target()).unwrap();
        let before = choice.reasons.len();
        choice.compare_with_floor(1.9);
        assert_eq!(choice.reasons.len(), before);
        choice.compare_with_floor(2.5);
        assert!(choice.reasons[before].contains("at 0.80 of their distance"), "{:?}", choice.reasons);
    }

    #[test]
    fn a_gain_that_is_worth_little_is_refused() {
        let choice = |d| GammaChoice::among(&[trial(None, &[1.0, 1.0]), trial(Some(0.1), &[d, d])], &target()).unwrap();
        assert_eq!((choice(0.96).gamma, choice(0.98).gamma), (Some(0.1), None));
        assert!(
            choice(0.98).reasons[1].contains("no γ comes 3 % closer")
                && choice(0.98).reasons[1].contains("only 2 ± 0 %")
        );
    }

    #[test]
    fn a_gain_within_its_error_says_so() {
        let trials = [trial(None, &[1.0, 1.0]), trial(Some(0.1), &[0.7, 1.1])];
        let choice = GammaChoice::among(&trials, &target()).unwrap();
        assert_eq!(choice.gamma, Some(0.1));
        assert!(choice.reasons.iter().any(|reason| reason.contains("within two standard errors")));
    }

    #[test]
    fn several_steps_count_equally() {
        let two = |gamma, a: f64, b: f64| Pilot {
            gamma,
            found: [(5, a), (50, b)]
                .map(|(steps, d)| PilotDistances { distance: "d".into(), steps, by_seed: vec![d] })
                .to_vec(),
        };
        let trials = [two(None, 1.0, 100.0), two(Some(0.1), 0.5, 150.0), two(Some(0.2), 0.6, 110.0)];
        let target = GammaGoal { steps: vec![5, 50], ..target() };
        assert_eq!(GammaChoice::among(&trials, &target).unwrap().gamma, Some(0.2));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |trials: &[Pilot]| GammaChoice::among(trials, &target()).unwrap_err().to_string();
        assert!(error(&[trial(Some(0.1), &[1.0])]).contains("must hold a control"));
        assert!(error(&[trial(None, &[1.0])]).contains("must hold a γ"));
        assert!(error(&[trial(None, &[1.0]), trial(Some(0.1), &[1.0, 2.0])]).contains("as many seeds"));
        assert!(error(&[trial(None, &[0.0]), trial(Some(0.1), &[1.0])]).contains("must be positive"));
        let other = GammaGoal { steps: vec![7], ..target() };
        let error = GammaChoice::among(&[trial(None, &[1.0])], &other).unwrap_err().to_string();
        assert!(error.contains("the control has no d at 7 steps"));
    }
}
