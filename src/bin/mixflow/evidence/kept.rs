//! A data set as it is kept: the sweep of γ, what was advised, and the grid beside it.
use super::asked::{self, Asked};
use super::parts::{Part, Set};
use super::read;
use burn_mixflow::Result;
use burn_mixflow::experiment::advise::{Advice, BudgetAnswer, Change, Gain};
use burn_mixflow::experiment::{ComparisonResults, ResultRow};
use std::path::{Path, PathBuf};

/// What is kept of a data set.
pub struct KeptSet {
    pub set: Set,
    /// Where it is kept.
    pub folder: PathBuf,
    pub sweep: ComparisonResults,
    /// Empty where `advise` was not asked yet, or says something else than the sweep was sampled by.
    pub asked: Asked,
}

/// What helps one model at one budget, by the distance that it is judged by. Every change is paired, on held-out data.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The user's own way to sample, nothing trained.
    pub own: ResultRow,
    /// The advised way to sample, nothing trained: its name, and its change from the own; none where none is advised.
    pub free: Option<(String, Change)>,
    /// The γ of the sweep that comes nearest under the own sampler, and its change against the control.
    pub alone: Option<(f64, Change)>,
    /// The same under the advised sampler; under the own where none is advised.
    pub both: Option<Added>,
    /// What was said of MixFlow.
    pub said: Said,
    /// What trainings of full length show for the γ that was said.
    pub of_said: Option<Added>,
}

/// What MixFlow with a γ adds under one way to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added {
    pub gamma: f64,
    pub gain: Gain,
}

/// What was said of MixFlow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said {
    /// There was no time for pilots or their confirmation.
    Nothing,
    Not,
    With(f64),
}

impl Outcome {
    /// Whether trainings of full length agree with what was said; none where nothing was said or nothing trained.
    pub fn was_right(&self) -> Option<bool> {
        match self.said {
            Said::Nothing => None,
            Said::Not => self.both.map(|added| !added.gain.is_worth_it()),
            Said::With(_) => self.of_said.map(|added| added.gain.is_worth_it()),
        }
    }
}

impl KeptSet {
    /// What is kept below `kept` of a part with these results; none if it is no set.
    pub fn read(kept: &Path, part: &Part, sweep: &ComparisonResults) -> Result<Option<Self>> {
        let (Some(set), folder) = (part.set(), kept.join(part.folder())) else { return Ok(None) };
        let asked = folder.join(asked::FILE);
        let asked: Asked = if asked.exists() { read(&asked)? } else { Asked::default() };
        let fits = asked.advices.first().is_some_and(|advice| is_sampled_by(sweep, advice));
        let asked = if fits { asked } else { Asked::default() };
        Ok(Some(Self { set, folder, sweep: sweep.clone(), asked }))
    }

    /// What helps at a budget; none where `advise` was not asked about it, or the sweep has not sampled it.
    pub fn outcome(&self, evaluations: usize) -> Option<Outcome> {
        let advice = self.asked.advices.first()?;
        let answer = advice.budgets.iter().find(|answer| answer.evaluations == evaluations)?;
        let at = At { sweep: &self.sweep, metric: &advice.metric, evaluations };
        let (own, start) = (*self.sweep.samplers().first()?, self.sweep.untrained()?);
        let advised = asked::sampler(advice, evaluations).map(|sampler| sampler.name);
        let free = match answer.advised().zip(advised.as_ref()) {
            Some((choice, name)) => Some((choice.sampler.name.clone(), at.change((start, name), (start, own))?)),
            None => None,
        };
        let setting = advised.as_deref().unwrap_or(own);
        let said = said(answer);
        let of_said = match said {
            Said::With(gamma) => at
                .mixflow(setting)
                .into_iter()
                .find(|row| row.gamma == Some(gamma))
                .and_then(|row| at.added(row, start)),
            _ => None,
        };
        Some(Outcome {
            own: at.row(start, own)?.clone(),
            free,
            alone: at.best(own).and_then(|row| Some((row.gamma?, at.added(row, start)?.gain.against_control))),
            both: at.best(setting).and_then(|row| at.added(row, start)),
            said,
            of_said,
        })
    }

    /// The rows of a curve: nothing trained, or the nearest γ at each budget, under the own sampler or as it is advised.
    pub fn curve(&self, budgets: &[usize], advised: bool, trained: bool) -> Vec<&ResultRow> {
        let (Some(advice), Some(start)) = (self.asked.advices.first(), self.sweep.untrained()) else {
            return Vec::new();
        };
        let own = self.sweep.samplers().first().copied().unwrap_or_default();
        let of = |n: &usize| {
            let at = At { sweep: &self.sweep, metric: &advice.metric, evaluations: *n };
            let named = asked::sampler(advice, *n).filter(|_| advised).map(|sampler| sampler.name);
            let sampler = named.as_deref().unwrap_or(own);
            if trained { at.best(sampler) } else { at.row(start, sampler) }
        };
        budgets.iter().filter_map(of).collect()
    }
}

/// Whether the table was sampled by what an advice says, and by nothing of another one.
fn is_sampled_by(sweep: &ComparisonResults, advice: &Advice) -> bool {
    let known = sweep.config.pointer("/compare/samplers").and_then(serde_json::Value::as_array);
    let beside_own = known.map_or(&[][..], |samplers| samplers.get(1..).unwrap_or_default());
    serde_json::to_value(asked::samplers(advice))
        .is_ok_and(|said| said.as_array().is_some_and(|said| said == beside_own))
}

fn said(answer: &BudgetAnswer) -> Said {
    match (answer.gamma(), answer.is_open()) {
        (Some(gamma), _) => Said::With(gamma),
        (None, true) => Said::Nothing,
        (None, false) => Said::Not,
    }
}

/// The rows of a distance at a budget.
struct At<'a> {
    sweep: &'a ComparisonResults,
    metric: &'a str,
    evaluations: usize,
}

impl<'a> At<'a> {
    fn row(&self, arm: &str, sampler: &str) -> Option<&'a ResultRow> {
        self.sweep.row(self.metric, sampler, arm, self.evaluations)
    }

    /// γ = 0 slows nothing, and is not MixFlow.
    fn mixflow(&self, sampler: &str) -> Vec<&'a ResultRow> {
        let fits = |row: &&ResultRow| {
            let same = (&row.metric[..], &row.sampler[..], row.evaluations) == (self.metric, sampler, self.evaluations);
            same && row.gamma.is_some_and(|gamma| gamma > 0.0)
        };
        self.sweep.rows.iter().filter(fits).collect()
    }

    fn best(&self, sampler: &str) -> Option<&'a ResultRow> {
        self.mixflow(sampler).into_iter().min_by(|a, b| a.mean.total_cmp(&b.mean))
    }

    fn change(&self, mine: (&str, &str), other: (&str, &str)) -> Option<Change> {
        paired(self.row(mine.0, mine.1)?, self.row(other.0, other.1)?)
    }

    fn added(&self, row: &ResultRow, start: &str) -> Option<Added> {
        let (start, control) = (self.row(start, &row.sampler)?, self.row(&self.sweep.control, &row.sampler)?);
        let gain = Gain {
            against_control: paired(row, control)?,
            against_start: paired(row, start)?,
            of_control: paired(control, start)?,
        };
        Some(Added { gamma: row.gamma?, gain })
    }
}

/// The change of one row from another, seed by seed.
pub fn paired(mine: &ResultRow, other: &ResultRow) -> Option<Change> {
    let of = |row: &ResultRow| row.seeds.iter().copied().zip(row.values.iter().copied()).collect::<Vec<_>>();
    Change::paired(&of(mine), &of(other))
}

#[cfg(test)]
pub mod tests {
    use super::super::parts::Task;
    use super::*;
    use burn_mixflow::sample::TimesConfig;
    use serde_json::{Value, json};

    /// A row of four seeds around a distance.
    pub fn row(sampler: &str, arm: &str, gamma: Option<f64>, evaluations: usize, mean: f64) -> Value {
        let values: Vec<f64> = [-0.01, 0.01, -0.02, 0.02].iter().map(|off| mean * (1.0 + off * (1.0 + mean))).collect();
        json!({"metric": "d", "sampler": sampler, "arm": arm, "gamma": gamma, "evaluations": evaluations,
            "steps": evaluations, "mean": mean, "standard_error": 0.01 * mean, "against": sampler,
            "paired_change": null, "paired_standard_error": null, "beyond_two_errors": false,
            "change_from_first_sampler": null, "change_from_first_sampler_standard_error": null, "values": values,
            "seeds": [0, 1, 2, 3]})
    }

    /// An answer for 10 evaluations; `confirmed` is what the free setting is worth on held-out data, and `gamma` what MixFlow
    /// adds on top of it with which γ.
    pub fn answer(confirmed: Option<f64>, gamma: Option<(f64, f64)>) -> Value {
        let change = |mean: f64| json!({"mean": mean, "standard_error": 0.01, "seeds": 6});
        let best = confirmed.map(|confirmed| {
            json!({"sampler": {"name": "Heun, uniform grid", "solver": "heun"}, "steps": 5, "others": [],
                "chosen": change(-0.5), "confirmed": change(confirmed)})
        });
        let gain = |mean: f64| json!({"against_control": change(mean), "against_start": change(mean), "of_control": change(0.0)});
        let trained = gamma.map(|(gamma, mean)| {
            json!({"gamma": gamma, "steps": 9, "whole": true, "under_best": gain(mean), "under_own": gain(mean)})
        });
        json!({"evaluations": 10, "own": "your own (Euler)", "tried": 9, "best": best, "finalists": [],
            "pilots": [{"gamma": 0.2, "under_best": change(0.1), "under_own": change(0.1)}], "trained": trained,
            "distances": [{"arm": "no post-training", "sampler": "your own (Euler)", "evaluations": 10, "mean": 1.0,
                "standard_error": 0.1}]})
    }

    pub fn kept(name: &'static str, rows: &[Value], answer: Value) -> KeptSet {
        let arms = json!([{"name": "none", "weights": "start"}, {"name": "control"}, {"name": "MixFlow"}]);
        let advice = json!({"metric": "d", "floor": 0.1, "budgets": [answer], "deficit": null});
        let said: Advice = serde_json::from_value(advice.clone()).unwrap();
        let mut samplers = vec![json!({"name": "Euler"})];
        samplers.extend(asked::samplers(&said).iter().map(|sampler| serde_json::to_value(sampler).unwrap()));
        let sweep = json!({"control": "control", "rows": rows, "floors": [], "training": [], "sampling_seconds": 0.0,
            "config": {"compare": {"arms": arms, "samplers": samplers}}});
        KeptSet {
            set: Set { name, exact: false, probe: None, minutes: Some([1, 1]), search: true },
            folder: PathBuf::new(),
            sweep: serde_json::from_value(sweep).unwrap(),
            asked: Asked { advices: vec![serde_json::from_value(advice).unwrap()], cases: Vec::new() },
        }
    }

    pub const ADVISED: &str = "advised for 10 by d: Heun, uniform grid";

    /// Under Euler's method γ = 0.4 halves the distance; under the advised way it adds nothing.
    pub fn rows() -> Vec<Value> {
        let advised = ADVISED;
        vec![
            row("Euler", "none", None, 10, 10.0),
            row(advised, "none", None, 10, 2.0),
            row("Euler", "control", None, 10, 9.0),
            row(advised, "control", None, 10, 1.9),
            row("Euler", "MixFlow γ=0", Some(0.0), 10, 1.0),
            row("Euler", "MixFlow γ=0.2", Some(0.2), 10, 6.0),
            row(advised, "MixFlow γ=0.2", Some(0.2), 10, 2.2),
            row("Euler", "MixFlow γ=0.4", Some(0.4), 10, 4.5),
            row(advised, "MixFlow γ=0.4", Some(0.4), 10, 3.0),
        ]
    }

    #[test]
    fn a_gain_of_the_own_sampler_is_not_one_of_the_advised() {
        let set = kept("photos", &rows(), answer(Some(-0.8), None));
        let found = set.outcome(10).unwrap();
        let (name, free) = found.free.clone().unwrap();
        assert_eq!((name.as_str(), free.seeds), ("Heun, uniform grid", 4));
        assert!((free.mean + 0.8).abs() < 0.05, "{free}");
        let (gamma, alone) = found.alone.unwrap();
        assert!(gamma == 0.4 && (alone.mean + 0.5).abs() < 0.05, "{alone}");
        let both = found.both.unwrap();
        assert!(
            both.gamma == 0.2 && both.gain.against_control.mean > 0.1 && both.gain.against_start.mean > 0.05,
            "{both:?}"
        );
        assert_eq!((found.said, found.was_right()), (Said::Not, Some(true)));
        assert_eq!(set.outcome(20), None);
        assert_eq!(set.curve(&[10, 20], true, false)[0].mean, 2.0);
        assert_eq!(set.curve(&[10, 20], false, true)[0].mean, 4.5);
    }

    #[test]
    fn without_a_free_setting_training_is_judged_under_the_own() {
        // Not confirmed by held-out data, so not advised; the full trainings gain, and it was not said.
        let found = kept("photos", &rows(), answer(Some(0.1), None)).outcome(10).unwrap();
        assert_eq!(found.free, None);
        assert_eq!(found.both.unwrap().gamma, 0.4);
        assert_eq!(found.was_right(), Some(false));
        // It was said, and the full trainings gain.
        let found = kept("photos", &rows(), answer(None, Some((0.2, -0.3)))).outcome(10).unwrap();
        assert_eq!((found.said, found.was_right()), (Said::With(0.2), Some(true)));
        // Under the advised way they do not.
        let found = kept("photos", &rows(), answer(Some(-0.8), Some((0.2, -0.3)))).outcome(10).unwrap();
        assert_eq!(found.was_right(), Some(false));
        let mut asked = answer(None, None);
        asked["pilots"] = json!([]);
        assert_eq!(kept("photos", &rows(), asked).outcome(10).unwrap().was_right(), None);
    }

    #[test]
    fn an_advice_and_a_sweep_of_another_one_do_not_go_together() {
        let set = kept("photos", &rows(), answer(Some(-0.8), None));
        let advice = &set.asked.advices[0];
        assert!(is_sampled_by(&set.sweep, advice));
        // The table was sampled by what an older advice said, or by hand without any.
        let mut other = advice.clone();
        other.budgets[0].best.as_mut().unwrap().sampler.name = "midpoint, grid u^2".into();
        assert!(!is_sampled_by(&set.sweep, &other));
        // The same name, and another grid fitted to other weights.
        let mut other = advice.clone();
        other.budgets[0].best.as_mut().unwrap().sampler.times = TimesConfig::Points { points: vec![0.0, 0.4, 1.0] };
        assert!(!is_sampled_by(&set.sweep, &other));
        other.budgets[0].best = None;
        assert!(!is_sampled_by(&set.sweep, &other));
        let by_hand = kept("photos", &rows(), answer(None, None)).sweep;
        assert!(!is_sampled_by(&by_hand, advice) && is_sampled_by(&by_hand, &other));
    }

    #[test]
    fn what_is_no_set_is_none_and_what_was_not_asked_has_no_answers() {
        let (folder, sweep) = (tempfile::tempdir().unwrap(), kept("a", &rows(), answer(None, None)).sweep);
        let part = Part { title: "", config: "a/b.json", task: Task::Table };
        assert!(KeptSet::read(folder.path(), &part, &sweep).unwrap().is_none());
        let set = Set { name: "a", exact: false, probe: None, minutes: Some([1, 1]), search: true };
        let part = Part { task: Task::Set(set), ..part };
        let unasked = KeptSet::read(folder.path(), &part, &sweep).unwrap().unwrap();
        assert_eq!((unasked.asked, unasked.folder), (Asked::default(), folder.path().join("a-b")));
    }
}
