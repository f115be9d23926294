//! When a refinement is worth it: beyond two standard errors on training data, which choose, and nearer on held-out data too.
//!
//! A refinement is a correction, or a grid around that of the best pair: what is tried beside a pair of a solver and a grid that was
//! nearest already, and so the likelier to be nearer by chance, or by what the model remembers of its training data.
use super::answer::{BudgetAnswer, Choice, Dropped};
use super::change::{Change, Found};
use super::sweep::Swept;
use crate::experiment::config::ArmSampler;

/// The nearest way to sample that is no refinement: a pair of a solver and a grid, or the user's own.
#[derive(Clone)]
pub(super) struct Plain {
    pub sampler: ArmSampler,
    /// Its change against the user's own.
    pub change: Change,
    /// The change of the chosen refinement against it.
    pub by_refinement: Change,
}

/// The nearest of `contenders`, if it gains on `own`; and the nearest that is no refinement, if it is one. What is neither `own`
/// nor one of `bases` is a refinement. The first of the contenders alone may be one, and must be better than the nearest of the
/// others, or than `base` if there are none, beyond two standard errors. `change` says by how much one of two names is nearer.
pub(super) fn chosen(
    own: &ArmSampler,
    (base, bases): (&ArmSampler, &[ArmSampler]),
    contenders: &[ArmSampler],
    change: impl Fn(&str, &str) -> Option<Change>,
) -> Option<((ArmSampler, Change), Option<Plain>)> {
    let is_plain = |sampler: &&ArmSampler| [own].into_iter().chain(bases).any(|known| known.name == sampler.name);
    let plain = contenders.iter().find(is_plain).unwrap_or(base);
    let by_refinement = |sampler: &ArmSampler| {
        change(&sampler.name, &plain.name).filter(|change| change.mean < 0.0 && change.is_beyond_two_errors())
    };
    let refined = contenders.first().and_then(|first| Some((first, by_refinement(first)?)));
    let best = refined.map_or(plain, |(first, _)| first);
    let gain = change(&best.name, &own.name).filter(Change::is_a_gain)?;
    let without = refined.and_then(|(_, by_refinement)| {
        Some(Plain { sampler: plain.clone(), change: change(&plain.name, &own.name)?, by_refinement })
    });
    Some(((best.clone(), gain), without))
}

/// Leaves the chosen refinement out if it is no nearer on held-out data: training data can be what a model remembers.
pub(super) fn drop_refinement(answer: &mut BudgetAnswer, swept: &Swept, found: &Found, start: &str) {
    let Some(((best, _), plain)) = swept.best.as_ref().zip(swept.plain.as_ref()) else { return };
    let change = found.change((start, &best.name), (start, &plain.sampler.name), swept.evaluations);
    if let Some(confirmed) = change.filter(|change| change.mean >= 0.0) {
        answer.dropped = Some(Dropped {
            name: best.name.clone(),
            plain: plain.sampler.name.clone(),
            chosen: plain.by_refinement,
            confirmed,
        });
        // Without the refinement it must gain by itself, which the user's own cannot.
        answer.best = plain.change.is_a_gain().then(|| Choice::new(&plain.sampler, plain.change, swept.evaluations));
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::cell;
    use super::*;
    use crate::experiment::compare::Cell;

    fn named(name: &str, corrections: &str) -> ArmSampler {
        serde_json::from_str(&format!(r#"{{"name": "{name}", "corrections": [{corrections}]}}"#)).unwrap()
    }

    /// Names and how far they are, the nearest first; changes have an error of a hundredth. The user's own is none of the bases.
    fn choose(all: &[(&ArmSampler, f64)]) -> Option<(String, f64, Option<Plain>)> {
        let far = |name: &str| all.iter().find(|(sampler, _)| sampler.name == name).map(|(_, far)| *far);
        let change = |mine: &str, other: &str| {
            let mean = far(mine)? / far(other)? - 1.0;
            Some(Change { mean, standard_error: Some(0.01), seeds: 4 })
        };
        let contenders: Vec<ArmSampler> = all.iter().map(|(sampler, _)| (*sampler).clone()).collect();
        let bases = ["Heun", "midpoint"].map(|name| named(name, ""));
        let found = chosen(&named("own", ""), (&bases[0], &bases), &contenders, change);
        found.map(|((best, gain), plain)| (best.name, gain.mean, plain))
    }

    #[test]
    fn a_refinement_must_be_worth_it_and_is_chosen_with_what_is_none() {
        let (own, base) = (named("own", ""), named("Heun", ""));
        let corrected = named("Heun, static shift", r#"{"kind": "static_shift", "delta": 0.1}"#);
        let (name, gain, plain) = choose(&[(&corrected, 0.4), (&base, 0.5), (&own, 1.0)]).unwrap();
        let plain = plain.unwrap();
        assert_eq!((name.as_str(), plain.sampler.name.as_str()), ("Heun, static shift", "Heun"));
        assert!((gain + 0.6).abs() < 1e-9 && (plain.change.mean + 0.5).abs() < 1e-9);
        assert!((plain.by_refinement.mean + 0.2).abs() < 1e-9);
        // Within the error it is not worth it.
        let (name, _, plain) = choose(&[(&corrected, 0.495), (&base, 0.5), (&own, 1.0)]).unwrap();
        assert_eq!((name.as_str(), plain.is_none()), ("Heun", true));
        assert!(choose(&[(&base, 0.99), (&own, 1.0)]).is_none());
        // A grid around the best one is a refinement, too, and held against the nearest base, whichever that is.
        let (refined, other) = (named("Heun, grid shifted by 1.4", ""), named("midpoint", ""));
        let all = [(&refined, 0.4), (&other, 0.45), (&base, 0.5), (&own, 1.0)];
        let (name, _, plain) = choose(&all).unwrap();
        assert_eq!((name.as_str(), plain.unwrap().sampler.name.as_str()), ("Heun, grid shifted by 1.4", "midpoint"));
        let (name, _, plain) = choose(&[(&refined, 0.445), all[1], all[2], all[3]]).unwrap();
        assert_eq!((name.as_str(), plain.is_none()), ("midpoint", true));
        // The user's own is held against as well, where it is nearer than the bases.
        let (name, _, plain) = choose(&[(&refined, 0.9), (&own, 1.0), (&base, 1.1)]).unwrap();
        assert_eq!((name.as_str(), plain.unwrap().sampler.name.as_str()), ("Heun, grid shifted by 1.4", "own"));
        // A correction of the user's own sampling.
        let corrected = named("own, static shift", r#"{"kind": "static_shift", "delta": 0.1}"#);
        let (name, _, plain) = choose(&[(&corrected, 0.4), (&own, 1.0)]).unwrap();
        assert_eq!((name.as_str(), plain.unwrap().sampler.name.as_str()), ("own, static shift", "own"));
    }

    /// A sweep that found nothing.
    fn swept() -> Swept {
        Swept { evaluations: 10, tried: 9, own: named("Euler", ""), best: None, plain: None, finalists: Vec::new() }
    }

    /// Distances of two seeds on held-out data, of the refined way and of the plain one.
    fn confirmed(refined: [f64; 2], plain: [f64; 2]) -> Found {
        let cells = |sampler: &str, values: [f64; 2]| -> Vec<Cell> {
            [(1, values[0]), (2, values[1])].map(|seed| cell(("start", sampler), 10, seed)).into()
        };
        Found { cells: [cells("Refined", refined), cells("Plain", plain)].concat(), metric: "d".into() }
    }

    #[test]
    fn a_refinement_that_held_out_data_do_not_confirm_is_left_out() {
        let change = |mean: f64| Change { mean, standard_error: Some(0.01), seeds: 4 };
        let named = |name: &str| named(name, "");
        let plain = Plain { sampler: named("Plain"), change: change(-0.5), by_refinement: change(-0.1) };
        let swept = Swept { best: Some((named("Refined"), change(-0.55))), plain: Some(plain), ..swept() };
        let asked: Vec<String> = swept.to_confirm().into_iter().map(|sampler| sampler.name).collect();
        assert_eq!(asked, ["Euler", "Refined", "Plain"]);
        let of = |found: &Found| {
            let best = swept.best.as_ref().map(|(best, chosen)| Choice::new(best, *chosen, 10));
            let mut answer: BudgetAnswer = serde_json::from_value(serde_json::json!({
                "evaluations": 10, "own": "Euler", "tried": 9, "best": best, "finalists": [], "pilots": [],
                "trained": null, "distances": []
            }))
            .unwrap();
            drop_refinement(&mut answer, &swept, found, "start");
            answer
        };
        let kept = of(&confirmed([0.9, 0.8], [1.0, 1.0]));
        assert_eq!((kept.best.unwrap().sampler.name.as_str(), kept.dropped), ("Refined", None));
        let left = of(&confirmed([1.2, 1.1], [1.0, 1.0]));
        let best = left.best.unwrap();
        assert_eq!((best.sampler.name.as_str(), best.chosen.mean), ("Plain", -0.5));
        let dropped = left.dropped.unwrap();
        assert_eq!((dropped.name.as_str(), dropped.chosen.mean), ("Refined", -0.1));
        assert!((dropped.confirmed.mean - 0.15).abs() < 1e-9);
        // Of the user's own sampling nothing is left to advise.
        let plain = Plain { sampler: swept.own.clone(), change: change(0.0), by_refinement: change(-0.1) };
        let on_own = Swept { best: swept.best.clone(), plain: Some(plain), ..self::swept() };
        let mut found = confirmed([1.2, 1.1], [1.0, 1.0]);
        found.cells.iter_mut().filter(|cell| cell.sampler == "Plain").for_each(|cell| cell.sampler = "Euler".into());
        let mut answer = of(&found);
        drop_refinement(&mut answer, &on_own, &found, "start");
        assert!(answer.best.is_none() && answer.dropped.is_some());
        // Nor of what gains on it by the refinement alone.
        let plain = Plain { sampler: named("Plain"), change: change(-0.01), by_refinement: change(-0.1) };
        let by_it_alone = Swept { best: swept.best.clone(), plain: Some(plain), ..self::swept() };
        let found = confirmed([1.2, 1.1], [1.0, 1.0]);
        let mut answer = of(&found);
        drop_refinement(&mut answer, &by_it_alone, &found, "start");
        assert!(answer.best.is_none() && answer.dropped.is_some());
        // What was not measured is not judged.
        assert!(of(&confirmed([f64::NAN; 2], [1.0; 2])).dropped.is_none());
    }
}
