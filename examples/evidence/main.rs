//! Writes docs/evidence.md from the tables that the commands left in `runs/`; nothing in it is typed by hand.
//!
//! `cargo run --release --example evidence`
mod validation;

use burn_mixflow::run::files;
use burn_mixflow::{Error, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A part of the page: its title, the command that makes it, and the folder that command fills.
struct Part {
    title: &'static str,
    command: &'static str,
    folder: &'static str,
}

const PARTS: [Part; 12] = [
    Part { title: "Photos: which γ", command: "ablate -- configs/photos/gamma.json", folder: "photos-gamma" },
    Part { title: "Photos: rivals", command: "ablate -- configs/photos/rivals.json", folder: "photos-rivals" },
    Part {
        title: "Photos: the laws of t and m",
        command: "ablate -- configs/photos/ablation.json",
        folder: "photos-ablation",
    },
    Part {
        title: "Photos: Slow Flow before and after, and the γ it recommends",
        command: "slow_flow -- configs/photos/slow_flow.json runs/photos-slow_flow",
        folder: "photos-slow_flow",
    },
    Part {
        title: "Digits at scale 0.25: which γ",
        command: "ablate -- configs/digits/gamma-sweep.json",
        folder: "digits-gamma-sweep",
    },
    Part {
        title: "Digits at scale 1: which γ",
        command: "ablate -- configs/digits/gamma-sweep-full-scale.json",
        folder: "digits-gamma-sweep-full-scale",
    },
    Part {
        title: "Digits at scale 0.25: Slow Flow",
        command: "slow_flow -- configs/digits/slow_flow.json runs/digits-slow_flow",
        folder: "digits-slow_flow",
    },
    Part {
        title: "The table: Slow Flow",
        command: "slow_flow -- configs/table/slow_flow.json runs/table-slow_flow",
        folder: "table-slow_flow",
    },
    Part { title: "The table: which γ", command: "ablate -- configs/table/gamma.json", folder: "table-gamma" },
    Part {
        title: "Exact fields on a ring, D = 2",
        command: "ablate -- configs/ring/exact-2.json",
        folder: "ring-exact-2",
    },
    Part {
        title: "Exact fields on a ring, D = 32",
        command: "ablate -- configs/ring/exact-32.json",
        folder: "ring-exact-32",
    },
    Part {
        title: "Exact fields on a ring, D = 128",
        command: "ablate -- configs/ring/exact-128.json",
        folder: "ring-exact-128",
    },
];

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("error: {error}");
            1.into()
        }
    }
}

fn run() -> Result<()> {
    let pictures = Path::new("docs/evidence");
    if pictures.exists() {
        std::fs::remove_dir_all(pictures).map_err(|e| Error::io(pictures, e))?;
    }
    files::create(pictures)?;
    let mut page = String::from(
        "# Evidence\nWritten by `cargo run --release --example evidence` from what the commands below left in `runs/`; nothing is typed by\n\
         hand. Losing results stand beside winning ones. Distances compare within a table only.\n",
    );
    for Part { title, command, folder } in PARTS {
        let _ = writeln!(page, "\n## {title}\n`cargo run --release --example {command}`\n");
        let folder = Path::new("runs").join(folder);
        let Ok(table) = std::fs::read_to_string(folder.join("table.md")) else {
            println!("{title}: not run");
            page.push_str("Not run yet.\n");
            continue;
        };
        page.push_str(&table.replace("\n## ", "\n### "));
        for picture in drawn(&folder)? {
            let name = picture.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let kept = format!("{}-{name}", folder.file_name().and_then(|n| n.to_str()).unwrap_or_default());
            std::fs::copy(&picture, pictures.join(&kept)).map_err(|e| Error::io(&picture, e))?;
            let _ = writeln!(page, "\n![{title}](evidence/{kept})");
        }
        println!("{title}: {}", folder.display());
    }
    page.push_str("\n## Is the recommended γ a good one?\n");
    page.push_str(&validation::markdown(Path::new("runs"))?);
    files::write(Path::new("docs/evidence.md"), &page)
}

/// The pictures of a folder, sorted; of an ablation only those of its first distance and its first sampler.
fn drawn(folder: &Path) -> Result<Vec<PathBuf>> {
    let results = std::fs::read(folder.join("results.json")).unwrap_or_default();
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap_or_default();
    let first = |value: &serde_json::Value| value.as_str().map(str::to_lowercase).unwrap_or_default();
    let (metric, sampler) = (first(&results["floors"][0]["metric"]), first(&results["config"]["samplers"][0]["name"]));
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.ends_with(".png") || name.ends_with(&format!("-{sampler}.svg")) && name.contains(&metric)
    });
    found.sort();
    Ok(found)
}
