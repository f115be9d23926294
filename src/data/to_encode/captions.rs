//! The caption of every picture: from files beside them, or from one file that names them all.
use super::Captions;
use crate::data::listing::{first, plain};
use crate::data::text::utf8;
use crate::{Error, Result};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// Captions in the order of the pictures, and what a person should know.
pub(super) struct Captioned {
    pub captions: Vec<String>,
    pub note: Option<String>,
}

/// The captions of the pictures `names` below `folder`; none if there are none.
///
/// # Errors
/// [`Error::Format`] naming the pictures without one, or a line that is malformed; [`Error::Io`].
pub(super) fn of(captions: &Captions, folder: &Path, names: &[String]) -> Result<Option<Captioned>> {
    match captions {
        Captions::None => Ok(None),
        Captions::Txt => beside(folder, names).map(Some),
        Captions::Jsonl(file) => {
            let below = folder.join(file);
            let file = if below.is_file() { below } else { file.clone() };
            listed(&file, names).map(Some)
        }
    }
}

fn beside(folder: &Path, names: &[String]) -> Result<Captioned> {
    let read = |name: &String| {
        let file = folder.join(name).with_extension("txt");
        let bytes = std::fs::read(&file).map_err(|e| format!("{name} has no caption: {}: {e}", file.display()))?;
        let text = utf8(&bytes).and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".into()));
        let text = text.map_err(|message| format!("{}: {message}", file.display()))?.trim();
        if text.is_empty() { Err(format!("{}: is empty", file.display())) } else { Ok(text.to_string()) }
    };
    let (mut captions, mut wrong) = (Vec::with_capacity(names.len()), Vec::new());
    for caption in names.par_iter().map(read).collect::<Vec<_>>() {
        match caption {
            Ok(caption) => captions.push(caption),
            Err(message) => wrong.push(message),
        }
    }
    match wrong.is_empty() {
        true => Ok(Captioned { captions, note: None }),
        false => Err(without(folder, &wrong)),
    }
}

fn listed(file: &Path, names: &[String]) -> Result<Captioned> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    let bytes = utf8(&bytes).map_err(|message| Error::format(file, message))?;
    let mut known: HashMap<String, String> = HashMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let at_line = |message: String| Error::format(file, format!("line {}: {message}", number + 1));
        let (name, text) = entry(line).map_err(at_line)?;
        if let Some(other) = known.insert(name.clone(), text.clone())
            && other != text
        {
            return Err(at_line(format!("{name} has another caption before")));
        }
    }
    let take = |name: &String| known.remove(name).ok_or_else(|| format!("{name} has no caption"));
    let (captions, wrong): (Vec<_>, Vec<_>) = names.iter().map(take).partition(|caption| caption.is_ok());
    if !wrong.is_empty() {
        return Err(without(file, &wrong.into_iter().filter_map(Result::err).collect::<Vec<_>>()));
    }
    let mut others: Vec<String> = known.into_keys().collect();
    others.sort();
    let note = (!others.is_empty()).then(|| {
        let (file, count) = (file.display(), others.len());
        format!("{file}: {count} caption(s) belong to no picture:{}", first(&others))
    });
    Ok(Captioned { captions: captions.into_iter().filter_map(Result::ok).collect(), note })
}

/// The name and the caption of a line.
fn entry(line: &[u8]) -> Result<(String, String), String> {
    let must = r#"must be {"file_name": "NAME", "text": "CAPTION"}"#;
    let json: Value = serde_json::from_slice(line).map_err(|e| format!("{e}: {must}"))?;
    let text = |key: &str| match json.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_string()),
        Some(other) => Err(format!("`{key}` is {other}: {must}")),
        None => {
            let keys: Vec<&str> = json.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            Err(format!("has no `{key}` among its keys ({}): {must}", keys.join(", ")))
        }
    };
    Ok((plain(&text("file_name")?), text("text")?))
}

fn without(path: &Path, wrong: &[String]) -> Error {
    let message = format!("{} picture(s) lack a caption; write them, or take the pictures away:", wrong.len());
    Error::format(path, message + &first(wrong))
}
