//! Is the advised way to sample a good one? What was advised beside the best of a grid.
use super::ALLOWED;
use super::asked::Case;
use super::kept::{KeptSet, paired};
use super::screen::{bold, not_in};
use burn_mixflow::experiment::ResultRow;
use std::fmt::Write;

/// How often it was asked, and how often it failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    asked: usize,
    above: usize,
    worse: usize,
    /// Where the whole grid was searched by training data, too.
    searched: usize,
    /// Of those, how often that search is too far above the best, and the advised above that search.
    search_above: usize,
    above_search: usize,
}

impl Tally {
    fn add(&mut self, case: &Case) {
        self.asked += 1;
        self.above += usize::from(above(&case.advised, &case.best) > ALLOWED);
        self.worse += usize::from(is_worse(case));
        if let Some(searched) = &case.searched {
            self.searched += 1;
            self.search_above += usize::from(above(searched, &case.best) > ALLOWED);
            self.above_search += usize::from(above(&case.advised, searched) > ALLOWED);
        }
    }

    fn sentence(&self, what: &str) -> String {
        let Self { asked, above, worse, searched, search_above, above_search } = self;
        let search = match searched {
            0 => String::new(),
            _ => format!(
                " The search of the whole grid by training data is at most that far above it in {} of {searched}; `advise` is at most \
                 {:.0} % above that search in {} of {searched}.",
                searched - search_above,
                100.0 * ALLOWED,
                searched - above_search
            ),
        };
        format!(
            "{what}: {} of {asked} are at most {:.0} % above the best of the grid ({:.0} %); {worse} are worse than the own \
             sampling beyond two standard errors.{search}\n",
            asked - above,
            100.0 * ALLOWED,
            100.0 * (asked - above) as f64 / *asked as f64
        )
    }
}

/// By how much a mean is above another.
fn above(mine: &ResultRow, other: &ResultRow) -> f64 {
    mine.mean / other.mean - 1.0
}

/// The same with its standard error, that of the differences of the same seeds; bold where it is more than is allowed.
fn excess(mine: &ResultRow, other: &ResultRow) -> String {
    if mine.sampler == other.sampler {
        return "0 %".into();
    }
    let off: Vec<f64> = mine.values.iter().zip(&other.values).map(|(a, b)| (a - b) / other.mean).collect();
    let (count, centre) = (off.len() as f64, above(mine, other));
    let square = off.iter().map(|off| (off - centre).powi(2)).sum::<f64>() / (count - 1.0) / count;
    let text = format!("{} ± {:.0} %", (100.0 * centre).round() + 0.0, 100.0 * square.sqrt());
    if centre > ALLOWED { format!("**{text}**") } else { text }
}

fn is_worse(case: &Case) -> bool {
    paired(&case.advised, &case.own).is_some_and(|change| change.mean > 0.0 && change.is_beyond_two_errors())
}

/// The counts, networks and exact fields apart, the failures, and the table of all cases.
pub fn markdown(sets: &[KeptSet]) -> String {
    let mut text = format!(
        "`mixflow advise` was asked about each of these sets, three budgets and two distances; the minutes are for all budgets together, \
         and the second distance finds most samples there. Beside what it said stands a grid, sampled with the weights as they are: Euler, midpoint, Heun and \
         DPM-Solver++(2M), those that make the budget, each on eight named time grids and on the two fitted to the model. It has \
         four seeds that were not used to advise. An advice is asked to be at most {:.0} % above the best of the grid. The best is \
         picked on the data that it is judged by, which flatters it. *Search* is the nearest to the training \
         data, by four other seeds, of the own way and the whole grid. `advise` chooses by the training data as well, with other \
         candidates and seeds. Where the search fails too, the training data or four seeds mislead; where `advise` alone fails, it \
         did not try the better way, dropped it too early, or did not hold it for a gain.\n\n",
        100.0 * ALLOWED
    );
    for (exact, what) in [(false, "Networks"), (true, "Exact fields")] {
        let mut tally = Tally::default();
        let cases = sets.iter().filter(|set| set.set.exact == exact).flat_map(|set| &set.asked.cases);
        cases.for_each(|case| tally.add(case));
        if tally.asked > 0 {
            text.push_str(&tally.sentence(what));
        }
    }
    let missing = not_in(sets, |set| !set.asked.cases.is_empty());
    if !missing.is_empty() {
        let _ = writeln!(text, "Not asked yet: {}.", missing.join("; "));
    }
    if sets.iter().all(|set| set.asked.cases.is_empty()) {
        return text;
    }
    text.push_str(
        "\n| data | distance | minutes | evaluations | own | advised | best of the grid | advised above the best | search above the best | advised above the search | advised against own |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (set, case) in sets.iter().flat_map(|set| set.asked.cases.iter().map(move |case| (set, case))) {
        let (is_best, is_own) = (case.best.sampler == case.advised.sampler, case.own.sampler == case.advised.sampler);
        let best = match (is_best, is_own) {
            (true, true) => "the own",
            (true, false) => "what was advised",
            (false, _) => &case.best.sampler,
        };
        let above_best = excess(&case.advised, &case.best);
        let by_search = |of: &dyn Fn(&ResultRow) -> String| case.searched.as_ref().map_or("–".into(), of);
        let search = by_search(&|searched| format!("{}, {}", excess(searched, &case.best), searched.sampler));
        let above_search = by_search(&|searched| excess(&case.advised, searched));
        let against = match is_own {
            true => "kept".into(),
            false => paired(&case.advised, &case.own).as_ref().map_or(String::new(), bold),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {}, {best} | {above_best} | {search} | {above_search} | {against} |",
            set.set.name,
            case.metric,
            case.minutes,
            case.evaluations,
            case.own.figure(),
            case.advised.figure(),
            case.best.figure()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::kept::tests::{answer, kept, row};
    use super::*;

    fn case(own: f64, advised: Option<f64>, best: f64) -> Case {
        let row =
            |name: &str, mean| -> ResultRow { serde_json::from_value(row(name, "none", None, 10, mean)).unwrap() };
        let own = row("Euler", own);
        let advised = advised.map_or_else(|| own.clone(), |mean| row("advised for 10 by d: Heun", mean));
        let best = if best < advised.mean { row("Heun, grid u^2", best) } else { advised.clone() };
        Case { metric: "d".into(), minutes: 5, evaluations: 10, own, advised, best, searched: None }
    }

    #[test]
    fn failures_are_counted_and_shown() {
        let mut photos = kept("photos", &[], answer(None, None));
        photos.asked.cases = vec![case(4.0, Some(1.0), 1.0), case(4.0, Some(1.2), 1.0), case(1.0, None, 0.95)];
        // The search of the whole grid chose what is 30 % above the best, and the best itself.
        let searched = |name, mean| Some(serde_json::from_value(row(name, "none", None, 10, mean)).unwrap());
        photos.asked.cases[0].searched = searched("Heun, grid u^3", 1.3);
        photos.asked.cases[1].searched = searched("Heun, grid u^2", 1.0);
        let mut ring = kept("exact ring", &[], answer(None, None));
        (ring.set.exact, ring.asked.cases) = (true, vec![case(1.0, Some(2.0), 0.5)]);
        let text = markdown(&[photos, ring, kept("wine", &[], answer(None, None))]);
        for expected in [
            "Networks: 2 of 3 are at most 10 % above the best of the grid (67 %); 0 are worse",
            "by training data is at most that far above it in 1 of 2; `advise` is at most 10 % above that search in 1 of 2.\nExact",
            "Exact fields: 0 of 1 are at most 10 % above the best of the grid (0 %); 1 are worse",
            "; wine; ",
            "1.00 ± 0.0100, what was advised | 0 % | **30 ± 1 %**, Heun, grid u^3 | -23 ± 1 % | **-75 ± 1 %** |",
            "Heun, grid u^2 | **20 ± 1 %** | 0 %, Heun, grid u^2 | **20 ± 1 %** |",
            "| 5 ± 0 % | – | – | kept |",
        ] {
            assert!(text.contains(expected), "`{expected}` is not in:\n{text}");
        }
    }
}
