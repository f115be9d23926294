//! An answer in plain words.
use super::answer::{BudgetAnswer, Choice, Dropped, PilotOutcome, TrainedOutcome};
use super::change::{Change, WORTH};
use crate::experiment::config::ArmSampler;
use crate::experiment::statistics::number;

/// What to do about one budget: first the sampling, then the training, each with its figures. `minutes` is what the whole
/// training takes, and `floor` the distance between training and held-out data, where they are known.
pub(super) fn words(answer: &BudgetAnswer, minutes: Option<f64>, floor: Option<f64>) -> Vec<String> {
    let mut lines = vec![sampling(answer)];
    lines.extend(answer.dropped.as_ref().map(|Dropped { name, plain, chosen, confirmed }| {
        format!(
            "{name} was nearer than {plain} on training data ({chosen}), but was not on held-out data ({confirmed})."
        )
    }));
    lines.extend(others(answer));
    lines.extend(training(answer, minutes));
    if let Some((reached, floor)) = answer.reached().zip(floor).filter(|(reached, floor)| reached.mean <= *floor) {
        lines.push(format!(
            "These samples are as near to held-out data as training data are ({} and {}): between ways this near the distance \
             tells little.",
            number(reached.mean),
            number(floor)
        ));
    }
    lines
}

/// What the distances say that nothing was chosen by: a gain by one alone may be one of that distance, not of the samples.
fn others(answer: &BudgetAnswer) -> Option<String> {
    let choice = answer.advised().filter(|choice| !choice.others.is_empty())?;
    let each = choice.others.iter().map(|other| format!("{} {}", other.metric, other.change));
    let worse = choice.others.iter().any(|o| o.change.mean > 0.0 && o.change.is_beyond_two_errors());
    let but = if worse { ". Not all of them agree: look at the samples" } else { "" };
    Some(format!("By the other distances: {}{but}.", each.collect::<Vec<_>>().join(", ")))
}

fn sampling(answer: &BudgetAnswer) -> String {
    let worth = 100.0 * WORTH;
    match (&answer.best, answer.advised()) {
        (_, Some(Choice { sampler: ArmSampler { name, .. }, steps, chosen, confirmed: Some(confirmed), .. })) => {
            format!(
                "Use {name} with {steps} steps: {confirmed} for nothing, against {}. It was chosen at {chosen} on training data{}.",
                answer.own,
                shrink(chosen, confirmed)
            )
        }
        (_, Some(Choice { sampler: ArmSampler { name, .. }, steps, chosen, confirmed: None, .. })) => format!(
            "Use {name} with {steps} steps: {chosen} for nothing, against {}, on the training data that chose it. There was no \
             time to confirm it on held-out data.",
            answer.own
        ),
        (Some(Choice { sampler: ArmSampler { name, .. }, chosen, confirmed, .. }), None) => format!(
            "Keep {}. {name} looked better on training data ({chosen}), but held-out data do not confirm it ({}).",
            answer.own,
            confirmed.map_or("not measured".into(), |change| change.to_string())
        ),
        (None, None) if answer.dropped.is_some() => {
            format!("Keep {}: held-out data do not confirm what came nearer on training data.", answer.own)
        }
        (None, None) => format!(
            "Keep {}: of {} other ways that cost no training, none is {worth:.0} % nearer to the data beyond two standard errors.",
            answer.own, answer.tried
        ),
    }
}

/// By how much a change became less from choice to confirmation.
fn shrink(chosen: &Change, confirmed: &Change) -> String {
    let points = (100.0 * (confirmed.mean - chosen.mean)).round() as i64;
    let many = if points.abs() == 1 { "point" } else { "points" };
    match points {
        0 => ", and did not shrink".into(),
        1.. => format!(", and shrank by {points} {many}"),
        _ => format!(", and grew by {} {many}", -points),
    }
}

fn training(answer: &BudgetAnswer, minutes: Option<f64>) -> Vec<String> {
    let advised = answer.advised().is_some();
    let (to, under) = if advised { ("to it", "under it") } else { ("to your own sampling", "under your own sampling") };
    let (Some(trained), Some(gain)) = (&answer.trained, answer.gain()) else {
        return vec![untrained(answer, under)];
    };
    let TrainedOutcome { gamma, steps, whole, .. } = trained;
    let length = if *whole { format!("{steps} steps") } else { format!("{steps} steps, a pilot's length") };
    let own = trained.under_own;
    let mut lines = Vec::new();
    if gain.is_worth_it() {
        let takes = minutes.map_or(String::new(), |minutes| format!(", for about {}", duration(minutes)));
        let beside = match advised {
            true => format!("; without it, under {}, it would add {}", answer.own, own.against_control),
            false => String::new(),
        };
        lines.push(format!(
            "MixFlow with γ = {gamma} adds {} {to}{takes} of training ({length}){beside}.",
            gain.against_control
        ));
    } else {
        let why = if gain.against_control.is_a_gain() {
            format!(
                "{under} MixFlow with γ = {gamma} gains on a control ({}), but not on the weights as they are ({})",
                gain.against_control, gain.against_start
            )
        } else {
            format!("{under} MixFlow with γ = {gamma} adds {} to a control ({length})", gain.against_control)
        };
        let taken = match advised && own.is_worth_it() {
            true => format!(
                ". What it would add under {}, {}, the free setting gives already",
                answer.own, own.against_control
            ),
            false => String::new(),
        };
        lines.push(format!("Do not post-train: {why}{taken}."));
    }
    let on = gain.of_control;
    if on != gain.against_start && on.is_beyond_two_errors() {
        lines.push(format!("Training on as before, without MixFlow (the control), changes the distance by {on}."));
    }
    lines
}

/// Where no γ was confirmed.
fn untrained(answer: &BudgetAnswer, under: &str) -> String {
    let Some(PilotOutcome { gamma, under_best, under_own }) = answer.best_pilot() else {
        return "Whether MixFlow would help was not tried: there was no time for it. Give more --minutes.".into();
    };
    if under_best.mean <= -WORTH {
        return format!(
            "MixFlow is open: a pilot with γ = {gamma} came {under_best} {under}, but there was no time to confirm it on held-out \
             data. Give more --minutes."
        );
    }
    if let Some(PilotOutcome { gamma, under_own, .. }) = answer.open_pilot() {
        return format!(
            "MixFlow is open: under {} a pilot with γ = {gamma} came {under_own}, which was not asked of held-out data, as another \
             sampling was nearer on training data.",
            answer.own
        );
    }
    let own = match answer.advised().is_some() && under_own.is_a_gain() {
        true => format!(" What it adds under {}, {under_own}, the free setting gives already.", answer.own),
        false => String::new(),
    };
    let sampled = match answer.dropped.is_some() {
        true => format!(", sampled by {},", answer.pilots_under),
        false => String::new(),
    };
    let tried = answer.pilots.iter().map(|pilot| pilot.gamma.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        "Do not post-train: in pilots with γ = {tried}{sampled} none came {:.0} % nearer to the data than a control; the nearest, γ = \
         {gamma}, {under_best}.{own}",
        100.0 * WORTH
    )
}

/// Minutes for people.
fn duration(minutes: f64) -> String {
    match minutes {
        ..1.5 => format!("{:.0} seconds", (60.0 * minutes).ceil()),
        ..90.0 => format!("{minutes:.0} minutes"),
        _ => format!("{:.1} hours", minutes / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Distance, Gain, OtherChange};
    use super::*;

    fn change(mean: f64, error: f64) -> Change {
        Change { mean, standard_error: Some(error), seeds: 3 }
    }

    fn gain(against_control: Change, against_start: Change) -> Gain {
        Gain { against_control, against_start, of_control: change(-0.01, 0.02) }
    }

    fn answer() -> BudgetAnswer {
        BudgetAnswer {
            evaluations: 10,
            own: "your own (Euler)".into(),
            tried: 20,
            best: None,
            dropped: None,
            finalists: Vec::new(),
            pilots: Vec::new(),
            pilots_under: "your own (Euler)".into(),
            trained: None,
            distances: Vec::new(),
        }
    }

    fn choice(confirmed: Option<Change>) -> Choice {
        let sampler = serde_json::from_str(r#"{"name": "Heun, fitted grid", "solver": "heun"}"#).unwrap();
        Choice { sampler, steps: 5, chosen: change(-0.45, 0.02), confirmed, others: Vec::new() }
    }

    fn pilot(under_best: Change) -> PilotOutcome {
        PilotOutcome { gamma: 0.2, under_best, under_own: change(-0.24, 0.05) }
    }

    fn trained(under_best: Gain, under_own: Gain) -> TrainedOutcome {
        TrainedOutcome { gamma: 0.2, steps: 1500, whole: true, under_best, under_own }
    }

    #[test]
    fn a_free_gain_and_one_of_training_are_told_apart() {
        let worth = gain(change(-0.09, 0.04), change(-0.12, 0.03));
        let own = gain(change(-0.24, 0.05), change(-0.2, 0.03));
        let answer = BudgetAnswer {
            best: Some(choice(Some(change(-0.41, 0.03)))),
            pilots: vec![pilot(change(-0.1, 0.03))],
            trained: Some(trained(worth, own)),
            ..answer()
        };
        assert_eq!(
            words(&answer, Some(20.2), None),
            [
                "Use Heun, fitted grid with 5 steps: -41 ± 3 % for nothing, against your own (Euler). It was chosen at -45 ± 2 % on \
                 training data, and shrank by 4 points.",
                "MixFlow with γ = 0.2 adds -9 ± 4 % to it, for about 20 minutes of training (1500 steps); without it, under your own \
                 (Euler), it would add -24 ± 5 %.",
            ]
        );
        assert_eq!(answer.gamma(), Some(0.2));
    }

    #[test]
    fn what_the_free_setting_gives_is_not_credited_to_training() {
        let answer = BudgetAnswer {
            best: Some(choice(Some(change(-0.41, 0.03)))),
            pilots: vec![pilot(change(-0.05, 0.03))],
            trained: Some(trained(
                gain(change(-0.02, 0.04), change(-0.02, 0.03)),
                gain(change(-0.24, 0.05), change(-0.2, 0.03)),
            )),
            ..answer()
        };
        let text = words(&answer, None, None).join(" ");
        assert!(text.contains("Do not post-train: under it MixFlow with γ = 0.2 adds -2 ± 4 % to a control"), "{text}");
        assert!(text.contains("-24 ± 5 %, the free setting gives already"), "{text}");
        assert_eq!(answer.gamma(), None);
    }

    #[test]
    fn a_gain_on_a_control_that_harms_is_none() {
        let harmed = gain(change(-0.2, 0.05), change(0.1, 0.02));
        let answer = BudgetAnswer { trained: Some(trained(harmed, harmed)), ..answer() };
        let text = words(&answer, None, None).join(" ");
        assert!(text.starts_with("Keep your own (Euler): of 20 other ways"), "{text}");
        assert!(text.contains("but not on the weights as they are (+10 ± 2 %)"), "{text}");
        assert_eq!(answer.gamma(), None);
    }

    #[test]
    fn what_held_out_data_do_not_confirm_is_not_advised() {
        let answer = BudgetAnswer { best: Some(choice(Some(change(-0.01, 0.03)))), ..answer() };
        assert!(answer.advised().is_none());
        let text = words(&answer, None, None).join(" ");
        assert!(text.contains("held-out data do not confirm it (-1 ± 3 %)"), "{text}");
        assert!(text.contains("was not tried"), "{text}");
        let open = BudgetAnswer { best: Some(choice(None)), ..answer };
        assert!(words(&open, None, None)[0].contains("no time to confirm"), "{:?}", words(&open, None, None));
    }

    #[test]
    fn a_refinement_that_is_left_out_is_told() {
        let dropped = Dropped {
            name: "Heun, fitted grid, velocity × 1.05 to 1".into(),
            plain: "Heun, fitted grid".into(),
            chosen: change(-0.1, 0.02),
            confirmed: change(0.22, 0.05),
        };
        let best = Some(choice(Some(change(-0.41, 0.03))));
        let pilots_under = "Heun, fitted grid".into();
        let answer = BudgetAnswer { best, dropped: Some(dropped), pilots_under, ..answer() };
        let expected = "Heun, fitted grid, velocity × 1.05 to 1 was nearer than Heun, fitted grid on training data \
                        (-10 ± 2 %), but was not on held-out data (+22 ± 5 %).";
        assert_eq!(words(&answer, None, None)[1], expected);
        // Where the refinement stood on the user's own sampling, that is kept, and the pilots say what they were sampled by.
        let small = PilotOutcome { under_own: change(-0.01, 0.05), ..pilot(change(0.02, 0.03)) };
        let own = BudgetAnswer { best: None, pilots: vec![small], ..answer };
        let text = words(&own, None, None);
        assert_eq!(text[0], "Keep your own (Euler): held-out data do not confirm what came nearer on training data.");
        assert!(text[2].contains("in pilots with γ = 0.2, sampled by Heun, fitted grid, none came"), "{text:?}");
        // A gain of a pilot under the own sampling, which is kept, is not passed over.
        let own = BudgetAnswer { pilots: vec![pilot(change(0.02, 0.03))], ..own };
        assert!(own.is_open());
        let text = words(&own, None, None);
        assert!(
            text[2].starts_with("MixFlow is open: under your own (Euler) a pilot with γ = 0.2 came -24 ± 5 %"),
            "{text:?}"
        );
    }

    #[test]
    fn pilots_that_gain_nothing_say_so_and_those_that_do_stay_open() {
        let none = BudgetAnswer { pilots: vec![pilot(change(0.02, 0.03))], ..answer() };
        let text = &words(&none, None, None)[1];
        assert!(text.starts_with("Do not post-train: in pilots with γ = 0.2 none came 3 % nearer"), "{text}");
        let open = BudgetAnswer { pilots: vec![pilot(change(-0.1, 0.03))], ..answer() };
        assert!(words(&open, None, None)[1].starts_with("MixFlow is open"), "{:?}", words(&open, None, None));
    }

    #[test]
    fn other_distances_and_the_floor_are_told() {
        let other = |metric: &str, change| OtherChange { metric: metric.into(), change };
        let others = vec![other("pixels", change(-0.9, 0.01)), other("texture", change(0.2, 0.05))];
        let distance = Distance {
            arm: "no post-training".into(),
            sampler: "Heun, fitted grid".into(),
            evaluations: 10,
            mean: 0.067,
            standard_error: None,
        };
        let best = Choice { others, ..choice(Some(change(-0.41, 0.03))) };
        let answer = BudgetAnswer { best: Some(best), distances: vec![distance], ..answer() };
        let near = words(&answer, None, Some(0.13));
        assert_eq!(
            near[1],
            "By the other distances: pixels -90 ± 1 %, texture +20 ± 5 %. Not all of them agree: look at the samples."
        );
        assert!(near[3].contains("as training data are (0.0670 and 0.130)"), "{near:?}");
        assert_eq!(words(&answer, None, Some(0.05)).len(), 3);
    }

    #[test]
    fn training_on_is_told_where_it_changes_something() {
        let on = Gain { of_control: change(-0.2, 0.03), ..gain(change(0.05, 0.02), change(-0.16, 0.03)) };
        let answer = BudgetAnswer { trained: Some(trained(on, on)), ..answer() };
        let text = words(&answer, None, None).join(" ");
        assert!(
            text.contains("Training on as before, without MixFlow (the control), changes the distance by -20 ± 3 %.")
        );
    }
}
