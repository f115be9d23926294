//! What is kept of a run: its results, its table, and the pictures of its first distance and sampler.
use super::asked;
use crate::say;
use burn_mixflow::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// The files of results, kept with one line for each entry of their lists.
const RESULTS: [&str; 2] = ["results.json", "slow_flow.json"];

/// Takes over what a finished run left, the choices of γ of its pilots, and what was advised; nothing if there is none.
pub fn take_over(run: &Path, kept: &Path) -> Result<()> {
    let from = [run.to_path_buf(), run.join("slow_flow")];
    let from = from.iter().find(|folder| RESULTS.iter().any(|name| folder.join(name).exists()));
    let others = [("pilots/gamma.json", "gamma.json"), (asked::FILE, asked::FILE)];
    let others: Vec<_> = others.into_iter().filter(|(name, _)| run.join(name).exists()).collect();
    if from.is_none() && others.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(kept).map_err(|e| Error::io(kept, e))?;
    for (name, as_name) in others {
        super::write(&kept.join(as_name), &lines(&super::read(&run.join(name))?))?;
    }
    let Some(run) = from else { return Ok(()) };
    for picture in pictures(kept)? {
        let file = kept.join(picture);
        std::fs::remove_file(&file).map_err(|e| Error::io(&file, e))?;
    }
    if let Ok(table) = std::fs::read_to_string(run.join("table.md")) {
        super::write(&kept.join("table.md"), &table)?;
    }
    for name in RESULTS.iter().filter(|name| run.join(name).exists()) {
        super::write(&kept.join(name), &lines(&super::read(&run.join(name))?))?;
    }
    let results = kept.join(RESULTS[0]);
    let results: Value = if results.exists() { super::read(&results)? } else { Value::Null };
    let first = |value: &Value| value.as_str().map(str::to_lowercase).unwrap_or_default();
    let (metric, sampler) = (first(&results["floors"][0]["metric"]), first(&results["rows"][0]["sampler"]));
    for picture in pictures(run)? {
        let drawn = picture.ends_with(&format!("-{sampler}.svg")) && picture.contains(&metric);
        if picture.ends_with(".png") && !picture.contains("-") || drawn {
            let (from, to) = (run.join(&picture), kept.join(&picture));
            std::fs::copy(&from, &to).map_err(|e| Error::io(&from, e))?;
        }
    }
    say::line(format!("taken over: {}", run.display()));
    Ok(())
}

/// The names of the pictures in a folder, sorted.
pub fn pictures(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut found: Vec<String> = entries.filter_map(name).collect();
    found.retain(|name| name.ends_with(".png") || name.ends_with(".svg"));
    found.sort();
    Ok(found)
}

/// JSON with one line for each entry of the outermost lists, so that differences can be read.
fn lines(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
    let text = match value {
        Value::Array(items) => format!("[\n{}\n]", list(items)),
        Value::Object(keys) => {
            let one = |(key, value): (&String, &Value)| match value {
                Value::Array(items) => format!("{}: [\n{}\n]", Value::from(key.as_str()), list(items)),
                other => format!("{}: {other}", Value::from(key.as_str())),
            };
            format!("{{\n{}\n}}", keys.iter().map(one).collect::<Vec<_>>().join(",\n"))
        }
        other => other.to_string(),
    };
    text + "\n"
}
