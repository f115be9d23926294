//! The first screen of the page: what helps, where, and how much, with one picture.
use super::kept::{KeptSet, Outcome, Said};
use super::parts::PARTS;
use burn_mixflow::Result;
use burn_mixflow::experiment::advise::{Change, Gain};
use burn_mixflow::experiment::plot::{Axis, Chart, Ink, Panel, Point, Scale, Series};
use std::fmt::Write;

/// The budget of the table.
const EVALUATIONS: usize = 10;

/// Sets that are drawn.
const DRAWN: usize = 4;

/// The table of all sets and what it comes to, networks and exact fields apart; `picture` is drawn beside it.
pub fn markdown(sets: &[KeptSet], budgets: &[usize], picture: &str) -> String {
    let mut text = format!(
        "How near samples come to held-out data with {EVALUATIONS} network evaluations each, in percent of the distance that is \
         compared with: less is nearer. Everything else on this page is behind these lines.\n"
    );
    let known = |set: &KeptSet| set.outcome(EVALUATIONS).is_some();
    for (exact, what) in [(false, "Networks"), (true, "Exact fields, nothing trained")] {
        let mine: Vec<&KeptSet> = sets.iter().filter(|set| set.set.exact == exact && known(set)).collect();
        if !mine.is_empty() {
            let _ = writeln!(text, "\n**{what}**\n");
            text.push_str(&sentences(&mine, budgets, exact));
            text.push_str(&table(&mine));
        }
    }
    let missing = not_in(sets, known);
    if !missing.is_empty() {
        let _ = writeln!(text, "\nNot asked about yet: {}.", missing.join("; "));
    }
    if sets.iter().any(known) {
        let _ = writeln!(
            text,
            "\nIn bold what is beyond two standard errors, over the seeds of the sweep. *Sampling alone*: what `mixflow advise` \
             named, with the weights as they are. *MixFlow alone*: the γ of the sweep that came nearest, picked afterwards and \
             so a little flattered, against the same without MixFlow, both sampled by the model's own way. *On top*: the same with \
             the advised sampling, or with the own where no other is advised.\n\n![What helps]({picture})"
        );
    }
    text
}

/// The names of the sets of the page of which nothing is known.
pub fn not_in(sets: &[KeptSet], known: impl Fn(&KeptSet) -> bool) -> Vec<&'static str> {
    let all = PARTS.iter().filter_map(|part| part.set().filter(|set| set.minutes.is_some()));
    all.map(|set| set.name).filter(|name| !sets.iter().any(|set| set.set.name == *name && known(set))).collect()
}

/// Counts and medians, a fact in each.
fn sentences(sets: &[&KeptSet], budgets: &[usize], exact: bool) -> String {
    let all: Vec<Outcome> = sets.iter().filter_map(|set| set.outcome(EVALUATIONS)).collect();
    let free: Vec<Change> = all.iter().filter_map(|o| Some(o.free.as_ref()?.1)).filter(Change::is_a_gain).collect();
    let alone: Vec<Change> = all.iter().filter_map(|o| Some(o.alone?.1)).filter(Change::is_a_gain).collect();
    let both: Vec<Change> = all
        .iter()
        .filter_map(|o| o.both)
        .map(|added| added.gain)
        .filter(Gain::is_worth_it)
        .map(|gain| gain.against_control)
        .collect();
    let count = |gains: &[Change], what: &str, on: &str| match median(gains) {
        None => format!("* {what} gains on none of {}{on}.\n", all.len()),
        Some(median) => format!(
            "* {what} gains on {} of {}{on}; the median of these gains is {:.0} %.\n",
            gains.len(),
            all.len(),
            100.0 * median.abs()
        ),
    };
    let mut text = count(&free, "Another way to sample, nothing trained,", "");
    text += &count(&alone, "MixFlow, sampled as before,", " against a control");
    text += &count(
        &both,
        "MixFlow on top of the advised sampling",
        " against both the control and the weights as they are",
    );
    let judged: Vec<bool> =
        sets.iter().flat_map(|set| budgets.iter().filter_map(|n| set.outcome(*n)?.was_right())).collect();
    if !judged.is_empty() {
        let right = judged.iter().filter(|right| **right).count();
        let agree = if exact { "the exact fields of MixFlow" } else { "trainings of full length" };
        let _ = writeln!(
            text,
            "* `mixflow advise` said whether to post-train in {} cases (sets × budgets), and {agree} agree in {right} of them.",
            judged.len()
        );
    }
    text
}

/// The median of the changes.
fn median(changes: &[Change]) -> Option<f64> {
    let mut means: Vec<f64> = changes.iter().map(|change| change.mean).collect();
    means.sort_by(f64::total_cmp);
    let half = means.len() / 2;
    match means.len() {
        0 => None,
        n if n % 2 == 1 => Some(means[half]),
        _ => Some((means[half - 1] + means[half]) / 2.0),
    }
}

fn table(sets: &[&KeptSet]) -> String {
    let mut text =
        "\n| data | own sampling | sampling alone | MixFlow alone | on top of the sampling | `advise` said |\n\
                    |---|---|---|---|---|---|\n"
            .to_string();
    for (set, outcome) in sets.iter().filter_map(|set| Some((set, set.outcome(EVALUATIONS)?))) {
        let Outcome { own, free, alone, both, said, .. } = &outcome;
        let free = free.as_ref().map_or("none found".into(), |(name, change)| format!("{}: {name}", bold(change)));
        let with = |gamma: f64, change: &Change| format!("{}, γ = {gamma}", bold(change));
        let alone = alone.map_or(String::new(), |(gamma, change)| with(gamma, &change));
        let both = both.map_or(String::new(), |added| with(added.gamma, &added.gain.against_control));
        let said = match said {
            Said::Nothing => "nothing: no time".to_string(),
            Said::Not => "do not post-train".into(),
            Said::With(gamma) => format!("post-train with γ = {gamma}"),
        };
        let wrong = if outcome.was_right() == Some(false) { ", **wrongly**" } else { "" };
        let _ = writeln!(text, "| {} | {} | {free} | {alone} | {both} | {said}{wrong} |", set.set.name, own.figure());
    }
    text
}

/// In bold beyond two standard errors.
pub fn bold(change: &Change) -> String {
    if change.is_beyond_two_errors() { format!("**{change}**") } else { change.to_string() }
}

/// Distance by budget, with and without training, under both ways to sample; none before `advise` was asked about any network.
pub fn picture(sets: &[KeptSet], budgets: &[usize]) -> Result<Option<String>> {
    let drawn: Vec<&KeptSet> =
        sets.iter().filter(|set| !set.set.exact && set.outcome(EVALUATIONS).is_some()).take(DRAWN).collect();
    if drawn.is_empty() {
        return Ok(None);
    }
    let mut chart = Chart::new("What helps").with_columns(2);
    for set in drawn {
        let ticks = budgets.iter().map(|n| *n as f64).collect();
        let x = Axis::new("network evaluations per sample", Scale::Log).with_ticks(ticks);
        let mut panel = Panel::new(set.set.name, x, Axis::new("distance to held-out data", Scale::Log));
        for (name, ink, advised, trained) in [
            ("own sampling", Ink::Black, false, false),
            ("own sampling, MixFlow", Ink::InTurn, false, true),
            ("advised sampling", Ink::InTurn, true, false),
            ("advised sampling, MixFlow", Ink::InTurn, true, true),
        ] {
            let rows = set.curve(budgets, advised, trained);
            let point = |row: &&burn_mixflow::experiment::ResultRow| {
                Point::new(row.evaluations as f64, row.mean).give_or_take(row.standard_error)
            };
            panel = panel.with_series(Series::new(name, rows.iter().map(point).collect()).with_ink(ink));
        }
        chart = chart.with_panel(panel);
    }
    chart.svg().map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::asked::Asked;
    use super::super::kept::tests::{answer, kept, rows};
    use super::*;

    #[test]
    fn the_screen_says_what_helps_where_and_how_much() {
        let mut exact = kept("exact ring", &rows(), answer(None, None));
        exact.set.exact = true;
        let unasked = KeptSet { asked: Asked::default(), ..kept("wine", &rows(), answer(None, None)) };
        let sets = [kept("photos", &rows(), answer(Some(-0.8), None)), exact, unasked];
        let text = markdown(&sets, &[5, 10], "evidence/what-helps.svg");
        for expected in [
            "* Another way to sample, nothing trained, gains on 1 of 1; the median of these gains is 80 %.\n",
            "* MixFlow, sampled as before, gains on 1 of 1 against a control; the median of these gains is 49 %.\n",
            "* MixFlow on top of the advised sampling gains on none of 1 against both the control and the weights as they are.\n",
            "in 1 cases (sets × budgets), and trainings of full length agree in 1 of them.",
            "%**: Heun, uniform grid | **-49 ± ",
            "| do not post-train |\n",
            "Exact fields, nothing trained",
            "| exact ring | ",
            "| none found |",
            "| do not post-train, **wrongly** |",
            "Not asked about yet: digits, scale 0.25;",
            "; wine; ",
        ] {
            assert!(text.contains(expected), "`{expected}` is not in:\n{text}");
        }
        let networks = text.find("**Networks**").unwrap();
        assert!(networks < text.find("**Exact fields").unwrap());
    }

    #[test]
    fn the_median_is_that_of_the_middle() {
        let change = |mean| Change { mean, standard_error: Some(0.01), seeds: 3 };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[-0.2, -0.9, -0.4].map(change)), Some(-0.4));
        assert_eq!(median(&[-0.25, -0.75].map(change)), Some(-0.5));
    }

    #[test]
    fn networks_are_drawn_and_nothing_where_nothing_was_asked() {
        let sets = [kept("photos", &rows(), answer(Some(-0.8), None))];
        let svg = picture(&sets, &[5, 10]).unwrap().unwrap();
        assert!(svg.contains("advised sampling, MixFlow") && svg.contains("photos"));
        assert_eq!(picture(&[], &[10]).unwrap(), None);
    }
}
