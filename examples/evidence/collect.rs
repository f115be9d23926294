//! What is kept of a run: its results, its table, and the pictures of its first distance and sampler.
use burn_mixflow::experiment::files;
use burn_mixflow::{Error, Result};
use serde_json::Value;
use std::path::Path;

/// The files of results, kept with one line for each entry of their lists.
const RESULTS: [&str; 2] = ["results.json", "slow_flow.json"];

/// Takes over what a finished run left; nothing if there is none.
pub fn take_over(run: &Path, kept: &Path) -> Result<()> {
    let Ok(table) = std::fs::read_to_string(run.join("table.md")) else { return Ok(()) };
    files::create(kept)?;
    for picture in pictures(kept)? {
        let file = kept.join(picture);
        std::fs::remove_file(&file).map_err(|e| Error::io(&file, e))?;
    }
    files::write(&kept.join("table.md"), &table)?;
    for name in RESULTS.iter().filter(|name| run.join(name).exists()) {
        files::write(&kept.join(name), &lines(&crate::read(&run.join(name))?))?;
    }
    let results: Value =
        if kept.join(RESULTS[0]).exists() { crate::read(&kept.join(RESULTS[0]))? } else { Value::Null };
    let first = |value: &Value| value.as_str().map(str::to_lowercase).unwrap_or_default();
    let (metric, sampler) = (first(&results["floors"][0]["metric"]), first(&results["config"]["samplers"][0]["name"]));
    for picture in pictures(run)? {
        let drawn = picture.ends_with(&format!("-{sampler}.svg")) && picture.contains(&metric);
        if picture.ends_with(".png") || drawn {
            let (from, to) = (run.join(&picture), kept.join(&picture));
            std::fs::copy(&from, &to).map_err(|e| Error::io(&from, e))?;
        }
    }
    println!("taken over: {}", run.display());
    Ok(())
}

/// Takes over the choices of γ that pilots made for a run; nothing if there are none.
pub fn choices(pilots: &Path, kept: &Path) -> Result<()> {
    let file = pilots.join("gamma.json");
    if !file.exists() {
        return Ok(());
    }
    files::create(kept)?;
    files::write(&kept.join("gamma.json"), &lines(&crate::read(&file)?))?;
    println!("taken over: {}", file.display());
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
