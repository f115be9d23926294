//! What the scorers of the benchmarks wrote about every picture.
use crate::data::text::utf8;
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What T2I-CompBench's scores are called where there are no categories: a file holds one.
const ALL: &str = "all prompts";

/// The score of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureScore {
    /// What tells the picture from others, in either arm: `00000/samples/0000.png`, or its number in eight digits.
    pub picture: String,
    /// What tells its prompt from others.
    pub prompt: String,
    /// GenEval's `tag`.
    pub category: String,
    /// In [0, 1]; of GenEval 0 or 1.
    pub score: f64,
}

/// The scores of the pictures of one arm, sorted by picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPictures {
    path: PathBuf,
    scores: Vec<PictureScore>,
}

impl ScoredPictures {
    /// Reads GenEval's `results.jsonl` or T2I-CompBench's `vqa_result.json`. The latter does not name prompts: of `per_prompt`
    /// pictures one after the other, the prompt is the same.
    ///
    /// # Errors
    /// [`Error::Format`] for another kind of file, an entry that is malformed, a picture that stands twice, or no picture;
    /// [`Error::Invalid`] if `per_prompt` is 0; [`Error::Io`].
    pub fn read(path: impl Into<PathBuf>, per_prompt: usize) -> Result<Self> {
        let path = path.into();
        if per_prompt == 0 {
            return Err(Error::Invalid("0 pictures per prompt: must be at least 1".into()));
        }
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let wrong = |message: String| Error::format(&path, message);
        let bytes = utf8(&bytes).map_err(wrong)?;
        let mut scores = match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => of_geneval(bytes),
            Some("json") => of_compbench(bytes, per_prompt),
            _ => Err("must be GenEval's results.jsonl or T2I-CompBench's vqa_result.json".into()),
        }
        .map_err(wrong)?;
        if scores.is_empty() {
            return Err(wrong("holds no score".into()));
        }
        scores.sort_by(|a, b| a.picture.cmp(&b.picture));
        if let Some(pair) = scores.windows(2).find(|pair| pair[0].picture == pair[1].picture) {
            return Err(wrong(format!("scores {} twice", pair[0].picture)));
        }
        Ok(Self { path, scores })
    }

    /// Where they were read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The scores, at least one.
    pub fn scores(&self) -> &[PictureScore] {
        &self.scores
    }
}

fn of_geneval(bytes: &[u8]) -> Result<Vec<PictureScore>, String> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    lines.map(|(number, line)| result(line).map_err(|message| format!("line {}: {message}", number + 1))).collect()
}

fn result(line: &[u8]) -> Result<PictureScore, String> {
    let json: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let text = |key: &str| json[key].as_str().map(String::from).ok_or_else(|| format!("has no `{key}`"));
    let correct = match &json["correct"] {
        Value::Bool(correct) => *correct,
        other => return Err(format!("`correct` is {other}: must be true or false")),
    };
    let picture = below(&text("filename")?)?;
    let prompt = picture.split('/').next().unwrap_or_default();
    let prompt = format!("{prompt}: {}", text("prompt")?);
    Ok(PictureScore { prompt, picture, category: text("tag")?, score: f64::from(u8::from(correct)) })
}

/// The last three parts of a path: the others differ between arms.
fn below(file: &str) -> Result<String, String> {
    let file = file.replace('\\', "/");
    let parts: Vec<&str> = file.rsplitn(4, '/').take(3).collect();
    match parts[..] {
        [name, "samples", prompt] if !prompt.is_empty() => Ok(format!("{prompt}/samples/{name}")),
        _ => Err(format!("`filename` is {file}: must end in PROMPT/samples/NAME.png")),
    }
}

fn of_compbench(bytes: &[u8], per_prompt: usize) -> Result<Vec<PictureScore>, String> {
    let must = r#"must be [{"question_id": 0, "answer": "0.7110"}, …]"#;
    let json: Value = serde_json::from_slice(bytes).map_err(|e| format!("{e}: {must}"))?;
    let score = |(place, entry): (usize, &Value)| {
        let wrong = |key: &str| format!("entry {place}: `{key}` is {}: {must}", entry[key]);
        let id = entry["question_id"].as_u64().ok_or_else(|| wrong("question_id"))?;
        let answer = match &entry["answer"] {
            Value::String(text) => text.trim().parse().ok(),
            number => number.as_f64(),
        };
        let score = answer.filter(|score: &f64| score.is_finite()).ok_or_else(|| wrong("answer"))?;
        let prompt = format!("{:08}", id / per_prompt as u64);
        Ok(PictureScore { picture: format!("{id:08}"), prompt, category: ALL.into(), score })
    };
    json.as_array().ok_or(must)?.iter().enumerate().map(score).collect()
}
