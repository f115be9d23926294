//! The class of every picture: from folders, or from a file that names them all.
use super::ImageLabels;
use crate::data::classes::{Classes, classes};
use crate::data::listing::first;
use crate::data::text::{csv_problem, utf8};
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// The classes of the pictures `names` below `folder`.
///
/// # Errors
/// [`Error::Format`] naming pictures without a class and names without a picture.
pub(in crate::data) fn of(labels: &ImageLabels, folder: &Path, names: &[String]) -> Result<Classes> {
    match labels {
        ImageLabels::None => Ok(Classes { labels: vec![0; names.len()], names: Vec::new() }),
        ImageLabels::Folders => by_folder(folder, names),
        ImageLabels::File(file) => {
            let beside = folder.join(file);
            let file = if beside.is_file() { beside } else { file.clone() };
            by_file(&file, folder, names)
        }
    }
}

fn by_folder(folder: &Path, names: &[String]) -> Result<Classes> {
    let class = |name: &String| name.split_once('/').map(|(class, _)| class.to_string());
    let loose: Vec<&String> = names.iter().filter(|name| class(name).is_none()).collect();
    if !loose.is_empty() {
        let message = format!("labels are \"folders\", but {} picture(s) lie in none:{}", loose.len(), first(&loose));
        return Err(Error::format(folder, message));
    }
    let found: Vec<String> = names.iter().filter_map(class).collect();
    let mut sorted = found.clone();
    sorted.sort();
    sorted.dedup();
    let place = |name: &String| sorted.binary_search(name).unwrap_or_default() as i64;
    Ok(Classes { labels: found.iter().map(place).collect(), names: sorted })
}

fn by_file(file: &Path, folder: &Path, names: &[String]) -> Result<Classes> {
    let listed = read(file)?;
    let mut known: HashMap<String, &str> = HashMap::new();
    let mut wrong = Vec::new();
    for (name, class) in &listed {
        let name = name.replace('\\', "/");
        let name = name.trim_start_matches("./").to_string();
        if known.insert(name.clone(), class).is_some_and(|other| other != class) {
            wrong.push(format!("{name} has two classes"));
        }
    }
    let missing = names.iter().filter(|name| !known.contains_key(*name));
    wrong.extend(missing.map(|name| format!("{name} has no class")));
    let there: std::collections::HashSet<&String> = names.iter().collect();
    let mut extra: Vec<&String> = known.keys().filter(|name| !there.contains(name)).collect();
    extra.sort();
    wrong.extend(extra.into_iter().map(|name| format!("{name} is no picture of {}", folder.display())));
    if !wrong.is_empty() {
        return Err(Error::format(
            file,
            format!("must name every picture below the folder, and no other:{}", first(&wrong)),
        ));
    }
    let found: Vec<&str> = names.iter().map(|name| known[name]).collect();
    classes(&found).map_err(|message| Error::format(file, message))
}

/// Names and classes: a CSV file, a JSON object, or `{"labels": [[name, class], …]}`.
fn read(file: &Path) -> Result<Vec<(String, String)>> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    let wrong = |message: String| Error::format(file, message);
    let bytes = utf8(&bytes).map_err(wrong)?;
    if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        return from_json(&json).map_err(wrong);
    }
    let separator = crate::data::vectors::separator(bytes);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(bytes);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| wrong(csv_problem(&e)))?;
        let line = record.position().map_or(0, |position| position.line());
        let cells: Vec<&str> = record.iter().map(str::trim).collect();
        match cells[..] {
            [""] => {}
            [name, class] if !name.is_empty() && !class.is_empty() => rows.push((name.to_string(), class.to_string())),
            _ => return Err(wrong(format!("line {line} is not a name and a class: `{}`", cells.join(",")))),
        }
    }
    // A first line of titles names no file.
    let title = |(name, _): &(String, String)| !name.contains('.');
    if rows.first().is_some_and(title) {
        rows.remove(0);
    }
    Ok(rows)
}

fn from_json(json: &serde_json::Value) -> Result<Vec<(String, String)>, String> {
    let text = |name: &str, class: &serde_json::Value| match class {
        serde_json::Value::String(class) => Ok((name.to_string(), class.clone())),
        serde_json::Value::Number(class) => Ok((name.to_string(), class.to_string())),
        other => Err(format!("{name} has the class {other}: must be a text or a whole number")),
    };
    if let Some(pairs) = json.get("labels").and_then(|labels| labels.as_array()) {
        let pair = |pair: &serde_json::Value| match pair.as_array().map(Vec::as_slice) {
            Some([serde_json::Value::String(name), class]) => text(name, class),
            _ => Err(format!("`labels` holds {pair}: must be [name, class]")),
        };
        return pairs.iter().map(pair).collect();
    }
    let object = json.as_object().ok_or("must be an object of names and classes")?;
    object.iter().map(|(name, class)| text(name, class)).collect()
}
