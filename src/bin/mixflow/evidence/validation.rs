//! Is the chosen γ a good one? What the pilots chose, and what the probe alone recommends, beside the sweep of γ.
use super::kept::KeptSet;
use super::parts::{PARTS, Part};
use super::{ALLOWED, read};
use burn_mixflow::Result;
use burn_mixflow::experiment::{ComparisonResults, ResultRow};
use burn_mixflow::post_train::gamma::GammaChoice;
use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;

#[derive(Deserialize)]
struct Measured {
    recommendations: Vec<Recommended>,
}

#[derive(Deserialize)]
struct Recommended {
    steps: usize,
    gamma: Option<f64>,
}

/// How often a rule was asked, and how often it failed.
#[derive(Clone, Copy, Default)]
struct Tally {
    asked: usize,
    above: usize,
    /// Of those above the best: refusals where what the best gains is within two standard errors.
    unproven: usize,
    worse: usize,
}

/// The rows of one distance at one number of steps: the control and every γ.
struct Cell<'a> {
    control: &'a ResultRow,
    rows: Vec<&'a ResultRow>,
}

impl<'a> Cell<'a> {
    fn new(sweep: &'a ComparisonResults, metric: &str, steps: usize) -> Option<Self> {
        let own = *sweep.samplers().first()?;
        let fits = |row: &&ResultRow| (&row.metric[..], &row.sampler[..], row.steps) == (metric, own, steps);
        let rows: Vec<&ResultRow> = sweep.rows.iter().filter(fits).collect();
        let control = *rows.iter().find(|row| row.arm == sweep.control)?;
        let rows = rows.into_iter().filter(|row| row.gamma.is_some()).collect();
        Some(Self { control, rows })
    }

    fn of(&self, gamma: Option<f64>) -> Option<&'a ResultRow> {
        match gamma {
            None => Some(self.control),
            Some(_) => self.rows.iter().find(|row| row.gamma == gamma).copied(),
        }
    }

    fn best(&self) -> &'a ResultRow {
        self.rows.iter().fold(self.control, |best, row| if row.mean < best.mean { row } else { best })
    }

    /// γ, its distance above the best and its change against the control, bold where they fail; counted in `tally`.
    fn judged(&self, gamma: Option<f64>, tally: &mut Tally) -> String {
        let Some(chosen) = self.of(gamma) else { return "not swept | |".into() };
        let above = chosen.mean / self.best().mean - 1.0;
        let worse = chosen.beyond_two_errors && chosen.paired_change.is_some_and(|change| change > 0.0);
        tally.asked += 1;
        tally.above += usize::from(above > ALLOWED);
        tally.unproven += usize::from(above > ALLOWED && gamma.is_none() && !self.best().beyond_two_errors);
        tally.worse += usize::from(worse);
        let mark = |bad: bool, text: String| if bad { format!("**{text}**") } else { text };
        let against = chosen.paired_change.map_or("–".into(), |change| format!("{:+.0} %", 100.0 * change));
        format!(
            "{} | {} | {}",
            name(gamma),
            mark(above > ALLOWED, format!("{:.0} %", 100.0 * above)),
            mark(worse, against)
        )
    }
}

fn name(gamma: Option<f64>) -> String {
    gamma.map_or("none".into(), |gamma| gamma.to_string())
}

/// The table of all data sets that were swept and chosen for.
pub fn markdown(kept: &Path, sets: &[KeptSet]) -> Result<String> {
    let mut text = format!(
        "Two rules beside the sweep of γ, at the same number of Euler steps. *Pilots* (`mixflow choose-gamma`, and `\"gamma\": \"auto\"`):\n\
         short trainings of other seeds than the sweep's, compared with a fifth of the training samples, which they leave out, by the\n\
         distance that is asked for; the sweep is measured on held-out data. *Probe*: what `mixflow slow-flow` recommends from the pretrained network alone. A rule is\n\
         asked to be at worst {:.0} % above the best γ of the sweep, and not worse than the control beyond two standard errors;\n\
         bold where it is. \"None\" is a refusal, and stands for the control.\n\n\
         | data | distance | steps | best γ | its distance | pilots: γ | above the best | against the control | probe: γ | above the best | against the control |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
        100.0 * ALLOWED
    );
    let (mut pilots, mut probe, mut missing) = ([Tally::default(); 2], [Tally::default(); 2], Vec::new());
    for set in PARTS.iter().filter_map(Part::set) {
        let known = sets.iter().find(|known| known.set == set && known.folder.join("gamma.json").exists());
        let Some(KeptSet { folder, sweep, .. }) = known else {
            missing.push(set.name);
            continue;
        };
        let measured = set.probe.map(|probe| kept.join(probe).join("slow_flow.json"));
        let (pilots, probe) = (&mut pilots[usize::from(set.exact)], &mut probe[usize::from(set.exact)]);
        let choices: Vec<GammaChoice> = read(&folder.join("gamma.json"))?;
        let measured = measured.filter(|file| file.is_file());
        let measured: Option<Measured> = measured.map(|file| read(&file)).transpose()?;
        for choice in &choices {
            let [steps] = choice.target.steps[..] else { continue };
            let Some(cell) = Cell::new(sweep, &choice.target.distance, steps) else { continue };
            let title = sweep.floors.iter().find(|floor| floor.metric == choice.target.distance);
            let title = title.map_or(choice.target.distance.as_str(), |floor| floor.title.as_str());
            let by_probe = measured.as_ref().and_then(|m| m.recommendations.iter().find(|r| r.steps == steps));
            let by_probe = by_probe.map_or("| |".into(), |advice| cell.judged(advice.gamma, probe));
            let best = cell.best();
            let _ = writeln!(
                text,
                "| {} | {title} | {steps} | {} | {:.3} | {} | {by_probe} |",
                set.name,
                name(best.gamma),
                best.mean,
                cell.judged(choice.gamma, pilots),
            );
        }
    }
    let counted = [("Pilots", pilots), ("Probe", probe)].into_iter().flat_map(|(rule, [networks, exact])| {
        [(rule, "networks", networks), (rule, "exact fields", exact)].into_iter().filter(|(.., tally)| tally.asked > 0)
    });
    for (rule, on, Tally { asked, above, unproven, worse }) in counted {
        let _ = writeln!(
            text,
            "\n{rule}, {on}: {above} of {asked} choices are more than {:.0} % above the best ({unproven} of these are refusals where the gain of\n\
             the best is itself within two standard errors of the sweep), {worse} are worse than the control beyond two standard errors.",
            100.0 * ALLOWED
        );
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "\nNot run yet: {}.", missing.join("; "));
    }
    Ok(text)
}
