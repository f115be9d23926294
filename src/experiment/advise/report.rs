//! The answer as files: words and tables, a picture, and sections to paste.
use super::answer::{Advice, BudgetAnswer, Distance};
use super::change::Change;
use super::minutes::Minutes;
use super::tables::start_arm;
use super::verdict::words;
use super::{Advisor, stem};
use crate::Result;
use crate::experiment::compare::{Work, save_chart};
use crate::experiment::config::{ArmSampler, CONTROL};
use crate::experiment::files::{pretty, write};
use crate::experiment::plot::{ArmCurve, ArmRole, BudgetPoint, distance_curves};
use crate::experiment::statistics::number;
use crate::timestep::StrategyConfig;
use serde_json::{Value, json};
use std::fmt::Write;

impl Advisor {
    /// Writes `advice.json`, `advice.md`, the picture, and for each budget the sections to paste.
    pub(super) fn write(&self, advice: &Advice, text: &str) -> Result<()> {
        let file = |name: &str| self.folder.join(name);
        write(&file("advice.json"), &pretty(advice)?)?;
        write(&file("advice.md"), text)?;
        for answer in &advice.budgets {
            let name = format!("{}.json", stem("sections", answer.evaluations));
            write(&file(&name), &pretty(&self.sections(answer))?)?;
        }
        let curves = self.curves(advice);
        if curves.iter().any(|curve| !curve.points.is_empty()) {
            let title = format!("{} to held-out data", advice.metric);
            save_chart(&distance_curves(&title, "distance", advice.floor, &curves), &file("distances"))?;
        }
        Ok(())
    }

    /// The answer in plain words, with what it rests on.
    pub(super) fn markdown(&self, advice: &Advice, minutes: &Minutes) -> String {
        let mut text = String::new();
        for answer in &advice.budgets {
            let _ = writeln!(text, "## {} network evaluations, by {}\n", answer.evaluations, advice.metric);
            for line in self.words(answer, minutes, advice.floor) {
                let _ = writeln!(text, "* {line}");
            }
            distances(&mut text, answer);
            finalists(&mut text, answer);
            pilots(&mut text, answer);
        }
        if let Some(floor) = advice.floor {
            let _ = writeln!(text, "Training data are {} from held-out data.\n", number(floor));
        }
        if let Some(deficit) = &advice.deficit {
            let _ = writeln!(
                text,
                "## The model's own velocity deficit\n\nOn {} training samples, without guidance: s(t) = E⟨v*, v⟩ / E‖v‖², 1 for the \
                 best possible model, above 1 where velocities are too short; in bold beyond three standard errors.\n\n{}",
                deficit.pairs,
                deficit.markdown()
            );
        }
        text
    }

    /// What to do about a budget, in plain words.
    fn words(&self, answer: &BudgetAnswer, minutes: &Minutes, floor: Option<f64>) -> Vec<String> {
        let trains = !self.config().start.is_exact();
        let work = Work::trained(self.config().post_train.evaluations() as f64);
        words(answer, trains.then(|| minutes.seconds(work) / 60.0), floor)
    }

    /// What to paste into the file: `sample`, `post_train` where it is worth it, and `compare`, to see it once more.
    fn sections(&self, answer: &BudgetAnswer) -> Value {
        let sampler = answer.advised().map_or(&self.own, |choice| &choice.sampler);
        let sampler = ArmSampler { evaluations: None, ..sampler.clone() };
        let batch = self.config().sample.sampler.batch_size;
        let mut sections = json!({
            "compare": {"evaluations": [answer.evaluations], "samplers": [sampler.clone()]},
        });
        if let Some(config) = sampler.with_evaluations(answer.evaluations, batch) {
            sections["sample"] = json!({"sampler": config});
        }
        if let Some(gamma) = answer.gamma() {
            let strategy = self.config().post_train.strategy;
            let strategy = strategy.with_gamma(gamma).unwrap_or(StrategyConfig::mixflow(gamma));
            sections["post_train"] = json!({"strategy": strategy});
        }
        sections
    }

    /// Distance by budget, with and without the advice and MixFlow.
    fn curves(&self, advice: &Advice) -> Vec<ArmCurve> {
        let all: Vec<&Distance> = advice.budgets.iter().flat_map(|answer| &answer.distances).collect();
        let start = start_arm(self.config());
        let own = advice.budgets.first().map_or("", |answer| answer.own.as_str());
        let mut curves: Vec<ArmCurve> = Vec::new();
        for distance in all {
            let (sampler, is_own) = (&distance.sampler, distance.sampler == own);
            let name = if distance.arm == start { sampler.clone() } else { format!("{sampler}: {}", distance.arm) };
            let role = match (is_own, distance.arm.as_str()) {
                (true, arm) if arm == start => ArmRole::Control,
                (true, CONTROL) => ArmRole::Untrained,
                _ => ArmRole::Other,
            };
            let point = BudgetPoint {
                evaluations: distance.evaluations,
                distance: distance.mean,
                deviation: distance.standard_error,
                change: None,
                change_error: None,
            };
            match curves.iter_mut().find(|curve| curve.name == name) {
                Some(curve) if curve.points.iter().any(|p| p.evaluations == point.evaluations) => {}
                Some(curve) => curve.points.push(point),
                None => curves.push(ArmCurve { name, role, gamma: None, points: vec![point] }),
            }
        }
        for curve in &mut curves {
            curve.points.sort_by_key(|point| point.evaluations);
        }
        curves
    }
}

/// `-12 ± 3 %`, in bold beyond two standard errors; nothing for what is compared with itself.
fn changed(change: Option<&Change>) -> String {
    match change {
        Some(change) if change.is_beyond_two_errors() => format!("**{change}**"),
        Some(change) => change.to_string(),
        None => String::new(),
    }
}

fn distances(text: &mut String, answer: &BudgetAnswer) {
    let mine: Vec<&Distance> =
        answer.distances.iter().filter(|distance| distance.evaluations == answer.evaluations).collect();
    if mine.is_empty() {
        return;
    }
    text.push_str("\nOn held-out data, fresh seeds:\n\n| sampling | weights | distance |\n|---|---|---|\n");
    for distance in mine {
        let error = distance.standard_error.map_or(String::new(), |error| format!(" ± {}", number(error)));
        let _ = writeln!(text, "| {} | {} | {}{error} |", distance.sampler, distance.arm, number(distance.mean));
    }
}

fn finalists(text: &mut String, answer: &BudgetAnswer) {
    let _ = writeln!(
        text,
        "\nThe nearest of {} ways that cost no training, on training data; in bold what differs beyond two standard errors:\n\n| \
         sampling | distance | against your own | against the one chosen |\n|---|---|---|---|",
        answer.tried
    );
    for finalist in &answer.finalists {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            finalist.name,
            number(finalist.distance),
            changed(finalist.change.as_ref()),
            changed(finalist.behind.as_ref())
        );
    }
    text.push('\n');
}

fn pilots(text: &mut String, answer: &BudgetAnswer) {
    if answer.pilots.is_empty() {
        return;
    }
    text.push_str("Pilots of MixFlow against a control, on set-aside data:\n\n");
    let both = answer.pilots_under != answer.own;
    let _ = match both {
        true => writeln!(text, "| γ | under {} | under {} |\n|---|---|---|", answer.pilots_under, answer.own),
        false => writeln!(text, "| γ | under {} |\n|---|---|", answer.own),
    };
    for pilot in &answer.pilots {
        let own = changed(Some(&pilot.under_own));
        let _ = match both {
            true => writeln!(text, "| {} | {} | {own} |", pilot.gamma, changed(Some(&pilot.under_best))),
            false => writeln!(text, "| {} | {own} |", pilot.gamma),
        };
    }
    text.push('\n');
}
