//! Writes docs/evidence.md from what the commands left in `runs/`; nothing in it is typed by hand.
//!
//! First it takes over what is in `runs/` into `docs/evidence/`, a folder for each part: results and pictures. Then it
//! writes the page from those, so a part can be run anew without all others.
mod collect;
mod validation;

use crate::say;
use burn_mixflow::experiment::ComparisonResults;
use burn_mixflow::{Error, Result};
use std::fmt::Write;
use std::path::Path;

/// A part of the page: its title, the command that makes it, and the folder that command fills.
struct Part {
    title: &'static str,
    command: &'static str,
    folder: &'static str,
}

const fn part(title: &'static str, command: &'static str, folder: &'static str) -> Part {
    Part { title, command, folder }
}

const PARTS: [Part; 24] = [
    part("Photos: which γ", "compare configs/photos/gamma.json", "photos-gamma"),
    part("Photos: rivals", "compare configs/photos/rivals.json", "photos-rivals"),
    part(
        "Photos: γ over time, and a loss on the magnitude",
        "compare configs/photos/gamma-by-time.json",
        "photos-gamma-by-time",
    ),
    part("Photos: the laws of t and m", "compare configs/photos/ablation.json", "photos-ablation"),
    part("Photos: few steps and many", "compare configs/photos/few-steps.json", "photos-few-steps"),
    part("Photos: Slow Flow before and after", "slow-flow configs/photos/slow_flow.json", "photos-slow_flow"),
    part("Digits at scale 0.25: which γ", "compare configs/digits/gamma-sweep.json", "digits-gamma-sweep"),
    part("Digits at scale 0.25: rivals", "compare configs/digits/rivals.json", "digits-rivals"),
    part("Digits at scale 0.25: Slow Flow", "slow-flow configs/digits/slow_flow.json", "digits-slow_flow"),
    part(
        "Digits at scale 1: which γ",
        "compare configs/digits/gamma-sweep-full-scale.json",
        "digits-gamma-sweep-full-scale",
    ),
    part(
        "Digits at scale 1: Slow Flow",
        "slow-flow configs/digits/slow_flow-full-scale.json",
        "digits-slow_flow-full-scale",
    ),
    part("The table: which γ", "compare configs/table/gamma.json", "table-gamma"),
    part("The table: rivals", "compare configs/table/rivals.json", "table-rivals"),
    part("The table: Slow Flow", "slow-flow configs/table/slow_flow.json", "table-slow_flow"),
    part("Exact fields on a ring, D = 2", "compare configs/ring/exact-2.json", "ring-exact-2"),
    part("Exact fields on a ring, D = 8", "compare configs/ring/exact-8.json", "ring-exact-8"),
    part("Exact fields on a ring, D = 32", "compare configs/ring/exact-32.json", "ring-exact-32"),
    part("Exact fields on a ring, D = 128", "compare configs/ring/exact-128.json", "ring-exact-128"),
    part("Networks on a ring, D = 2", "compare configs/ring/gamma-2.json", "ring-gamma-2"),
    part("Networks on a ring, D = 8", "compare configs/ring/gamma-8.json", "ring-gamma-8"),
    part("Networks on a ring, D = 32", "compare configs/ring/gamma-32.json", "ring-gamma-32"),
    part("Networks on a ring, D = 128", "compare configs/ring/gamma-128.json", "ring-gamma-128"),
    part("Photos: a γ chosen and used", "compare configs/photos/auto.json", "photos-auto"),
    part("Photos at 32×32, a SiT on a GPU: which γ", "compare configs/photos/sit.json", "photos-sit"),
];

/// Takes over what is in `runs/`, and writes the page.
pub fn run() -> Result<()> {
    let kept = Path::new("docs/evidence");
    let mut page = String::from(
        "# Evidence\nWritten by `mixflow evidence` from what the commands below left in `runs/`; nothing is typed by hand. Losing\n\
         results stand beside winning ones. Distances compare within a table only. The results behind each table are in\n\
         [docs/evidence](evidence), a folder for each.\n\n## Is the chosen γ a good one?\n",
    );
    for Part { folder, .. } in PARTS {
        collect::take_over(&Path::new("runs").join(folder), &kept.join(folder))?;
    }
    page.push_str(&validation::markdown(kept)?);
    let mut results = Vec::new();
    for Part { folder, .. } in PARTS {
        let file = kept.join(folder).join("results.json");
        results.extend(file.exists().then(|| ComparisonResults::read(&file)).transpose()?);
    }
    let mut missing = Vec::new();
    for Part { title, command, folder } in PARTS {
        let kept = kept.join(folder);
        let Some(table) = table(&kept, &results)? else {
            missing.push((title, command));
            continue;
        };
        let _ = writeln!(page, "\n## {title}\n`mixflow {command}`\n");
        page.push_str(&table.replace("\n## ", "\n### "));
        for picture in collect::pictures(&kept)? {
            let _ = writeln!(page, "\n![{title}](evidence/{folder}/{picture})");
        }
    }
    if !missing.is_empty() {
        page.push_str("\n## Not run yet\n| what | command |\n|---|---|\n");
    }
    for (title, command) in missing {
        say::line(format!("not run: {title}"));
        let _ = writeln!(page, "| {title} | `mixflow {command}` |");
    }
    write(Path::new("docs/evidence.md"), &page)
}

/// The table of a part: written anew from results, so that all tables are in one form, or that of Slow Flow. `others` are those of
/// all parts, for the best sampler of the same weights.
fn table(kept: &Path, others: &[ComparisonResults]) -> Result<Option<String>> {
    let results = kept.join("results.json");
    if results.exists() {
        return Ok(Some(ComparisonResults::read(&results)?.markdown_beside(others)));
    }
    Ok(std::fs::read_to_string(kept.join("table.md")).ok())
}

/// A JSON file as `T`.
fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::format(file, e.to_string()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|e| Error::io(file, e))
}
