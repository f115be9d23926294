//! The table for people.
use super::{Results, Row};
use crate::experiment::config::Reference;
use crate::experiment::statistics::number;
use std::fmt::Write;

impl Results {
    /// The table as Markdown, one part for each metric and sampler, by network evaluations.
    pub fn markdown(&self) -> String {
        let config = &self.config;
        let (reference, other) = match config.reference {
            Reference::HeldOut => ("held-out", "Training"),
            Reference::SetAside => ("set-aside", "Training"),
        };
        let mut text = format!(
            "Distance to {reference} data, lower is better: mean ± standard deviation over {} seed(s); in brackets the mean\n\
             paired change against the control ± its standard error, bold beyond two of them. Columns are network\n\
             evaluations per sample. An arm is compared with the control sampled alike; the control itself, and an arm\n\
             whose sampler the control lacks (*), with the control under \"{}\".\n",
            config.seeds.len(),
            config.samplers[0].name,
        );
        for floor in &self.floors {
            let _ = writeln!(
                text,
                "\n## {}\n{other} data against {reference} data: {}.",
                floor.title,
                number(floor.distance)
            );
            for sampler in &config.samplers {
                self.part(&mut text, floor.metric, &sampler.name);
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

    fn part(&self, text: &mut String, metric: &str, sampler: &str) {
        let rows: Vec<&Row> = self.rows.iter().filter(|r| r.metric == metric && r.sampler == sampler).collect();
        let fits = |n: &&usize| rows.iter().any(|r| r.evaluations == **n);
        let budgets: Vec<usize> = self.config.evaluations.iter().filter(fits).copied().collect();
        if budgets.is_empty() {
            return;
        }
        let heads: Vec<String> = budgets.iter().map(usize::to_string).collect();
        let _ = writeln!(text, "\n| {sampler} | {} |\n|---|{}", heads.join(" | "), "---|".repeat(budgets.len()));
        for arm in self.config.arms() {
            let mine = |n: &usize| rows.iter().find(|r| r.arm == arm.name && r.evaluations == *n);
            let cells: Vec<String> = budgets.iter().map(|n| mine(n).map_or(String::new(), |row| cell(row))).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let _ = writeln!(text, "| {} | {} |", arm.name, cells.join(" | "));
            }
        }
    }
}

fn cell(row: &Row) -> String {
    let deviation = row.standard_deviation.map_or(String::new(), |d| format!(" ± {}", number(d)));
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
    format!("{}{deviation}{change}", number(row.mean))
}
