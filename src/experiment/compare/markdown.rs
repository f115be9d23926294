//! The table for people.
use super::{ComparisonResults, ResultRow};
use crate::experiment::config::Reference;
use crate::experiment::statistics::number;
use std::fmt::Write;

impl ComparisonResults {
    /// The table as Markdown, one part for each metric and sampler, by network evaluations.
    pub fn markdown(&self) -> String {
        self.markdown_beside(&[])
    }

    /// The same; the [best sampler](Self::best_sampler) of each budget, in the table of the first one, may be of `others`.
    pub fn markdown_beside(&self, others: &[Self]) -> String {
        let reference = match self.reference {
            Reference::HeldOut => "held-out",
            Reference::SetAside => "set-aside",
            Reference::Training => "training",
        };
        let (seeds, samplers) = (self.seeds(), self.samplers());
        let mut text =
            format!("Distance to {reference} data, lower is better. Columns are network evaluations per sample.\n");
        text.push_str(match seeds {
            1 => "One seed. In brackets stands the change against the control.\n",
            _ => {
                "Each cell is the mean over the seeds ± its standard error. In brackets stands the mean change against the\n\
                 control of the same seed ± its standard error, in bold beyond two of them.\n"
            }
        });
        if seeds > 1 {
            let _ = writeln!(text, "Seeds: {seeds}.");
        }
        if samplers.len() > 1 {
            let _ = writeln!(
                text,
                "An arm is compared with the control sampled alike. The control itself, and an arm whose sampler the control\n\
                 lacks (*), are compared with the control under \"{}\".",
                samplers[0]
            );
        }
        if self.has_choice(others) {
            text.push_str("In italics stands the nearest at equal evaluations, and how it was sampled.\n");
        }
        for floor in &self.floors {
            let _ = writeln!(
                text,
                "\n## {}\nTraining data against {reference} data: {}.",
                floor.title,
                number(floor.distance)
            );
            for sampler in &samplers {
                self.part(&mut text, &floor.metric, sampler, others);
            }
        }
        let times: Vec<_> = self.training.iter().map(|t| format!("{} {:.2}", t.arm, t.milliseconds_per_step)).collect();
        if !times.is_empty() {
            let beside = "whatever else the machine did, so they do not compare";
            let _ = writeln!(text, "\nMilliseconds per training step, beside {beside}: {}.", times.join(", "));
        }
        let _ = writeln!(text, "\nSampling and measuring: {:.0} s, all cells together.", self.sampling_seconds);
        text
    }

    fn part(&self, text: &mut String, metric: &str, sampler: &str, others: &[Self]) {
        let rows: Vec<&ResultRow> = self.rows.iter().filter(|r| r.metric == metric && r.sampler == sampler).collect();
        let fits = |n: &usize| rows.iter().any(|r| r.evaluations == *n);
        let budgets: Vec<usize> = self.evaluations().into_iter().filter(fits).collect();
        if budgets.is_empty() {
            return;
        }
        let heads: Vec<String> = budgets.iter().map(usize::to_string).collect();
        let _ = writeln!(text, "\n| {sampler} | {} |\n|---|{}", heads.join(" | "), "---|".repeat(budgets.len()));
        for arm in self.arms() {
            let mine = |n: &usize| rows.iter().find(|r| r.arm == arm && r.evaluations == *n);
            let cells: Vec<String> = budgets.iter().map(|n| mine(n).map_or(String::new(), |row| cell(row))).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let arm = arm.replace('|', "\\|").replace('\n', " ");
                let _ = writeln!(text, "| {arm} | {} |", cells.join(" | "));
            }
        }
        if self.samplers().first() == Some(&sampler) {
            for (name, arm) in self.unslowed() {
                best(text, name, &|n| self.best_sampler(others, metric, arm, n), &budgets);
            }
        }
    }
}

/// The line of the best samplers, if there is a choice of them at any budget.
fn best<'a>(text: &mut String, name: &str, of: &dyn Fn(usize) -> Option<&'a ResultRow>, budgets: &[usize]) {
    let cell = |n: &usize| of(*n).map(|row| format!("{}, {}", row.figure(), row.sampler.replace('|', "\\|")));
    let cells: Vec<String> = budgets.iter().map(|n| cell(n).unwrap_or_default()).collect();
    if cells.iter().any(|cell| !cell.is_empty()) {
        let _ = writeln!(text, "| *{name}, best sampler* | {} |", cells.join(" | "));
    }
}

impl ResultRow {
    /// The mean distance ± its standard error, with three significant digits.
    pub fn figure(&self) -> String {
        let error = self.standard_error.map_or(String::new(), |error| format!(" ± {}", number(error)));
        format!("{}{error}", number(self.mean))
    }
}

fn cell(row: &ResultRow) -> String {
    let star = if row.against == row.sampler { "" } else { "*" };
    let change = match (row.paired_change, row.paired_standard_error) {
        (Some(change), Some(error)) => {
            let text = format!("{:+.0} ± {:.0} %", 100.0 * change, 100.0 * error);
            let text = if row.beyond_two_errors { format!("**{text}**") } else { text };
            format!(" ({text}{star})")
        }
        (Some(change), None) => format!(" ({:+.0} %{star})", 100.0 * change),
        _ => String::new(),
    };
    format!("{}{change}", row.figure())
}
