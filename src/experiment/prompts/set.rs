//! The prompts of a benchmark.
use crate::data::listing::first;
use crate::data::text::utf8;
use crate::experiment::sample_files::file_of;
use crate::{Error, Result, digest};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of the name of a file.
const LONGEST_NAME: usize = 255;

/// Whose prompts they are, and so how their pictures are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benchmark {
    /// Objects, counts, colours and places, each right or wrong.
    GenEval,
    /// Attributes and relations, each with a score in [0, 1].
    CompBench,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the text encoders are given.
    pub text: String,
    line: String,
}

impl Prompt {
    /// Its line in the file.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The position in the streams of a seed of the noise of picture `number` of this prompt: a function of both.
    pub fn noise_position(&self, number: usize) -> u64 {
        digest::seed(Sha256::digest(format!("{}\0{number}", self.text)))
    }
}

/// The prompts of a file, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSet {
    file: PathBuf,
    benchmark: Benchmark,
    prompts: Vec<Prompt>,
}

/// The prompt of a line, or what is wrong with it.
type PromptOfLine = fn(&str) -> Result<String, String>;

impl PromptSet {
    /// Reads GenEval's prompts from a `.jsonl` file, T2I-CompBench's from a `.txt` file: of each line what stands before a tab.
    ///
    /// # Errors
    /// [`Error::Format`] for another kind of file, a line without what GenEval's scorer needs, or no prompt; [`Error::Io`].
    pub fn read(file: impl Into<PathBuf>) -> Result<Self> {
        let file = file.into();
        let (benchmark, read): (_, PromptOfLine) = match file.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => (Benchmark::GenEval, of_geneval),
            Some("txt") => (Benchmark::CompBench, of_compbench),
            _ => {
                let must = "must be GenEval's evaluation_metadata.jsonl, or a .txt file with a prompt a line";
                return Err(Error::format(&file, must));
            }
        };
        let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
        let wrong = |message: String| Error::format(&file, message);
        let text = utf8(&bytes).map_err(wrong)?;
        let text = std::str::from_utf8(text).map_err(|_| wrong("is not UTF-8".into()))?;
        let mut prompts = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let text = read(line).map_err(|message| wrong(format!("line {}: {message}", number + 1)))?;
            prompts.push(Prompt { text, line: line.to_string() });
        }
        if prompts.is_empty() {
            return Err(wrong("holds no prompt".into()));
        }
        Ok(Self { file, benchmark, prompts })
    }

    /// Where they were read from.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Whose prompts they are.
    pub fn benchmark(&self) -> Benchmark {
        self.benchmark
    }

    /// The prompts, at least one.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// 32 hexadecimal digits that stand for all lines, in their order.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        self.prompts.iter().for_each(|prompt| hash.update(format!("{}\0", prompt.line)));
        digest::hex(hash.finalize(), 16)
    }

    /// Looks whether the scorer finds each prompt in the name of its picture. GenEval's are in files of their own.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming every prompt that is too long, holds `/`, `_` or a control character, or stands twice.
    pub(in crate::experiment) fn check_names(&self) -> Result<()> {
        if self.benchmark == Benchmark::GenEval {
            return Ok(());
        }
        let (mut wrong, mut seen) = (Vec::new(), HashMap::new());
        for (place, Prompt { text, .. }) in self.prompts.iter().enumerate() {
            let length = file_of(text, 0).len();
            let mut because = |reason: String| wrong.push(format!("`{text}` {reason}"));
            if let Some(other) = seen.insert(text, place) {
                because(format!("is prompt {} and prompt {}", other + 1, place + 1));
            }
            if let Some(character) = text.chars().find(|c| matches!(c, '/' | '\\') || c.is_control()) {
                because(format!("holds {character:?}"));
            }
            if text.contains('_') {
                because("holds '_': the scorer takes what stands before it for the prompt".into());
            }
            if length > LONGEST_NAME {
                because(format!("makes a name of {length} bytes: must be at most {LONGEST_NAME}"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let (file, count) = (self.file.display(), wrong.len());
        let message = format!("{file}: {count} prompt(s) cannot be in the names of their pictures:{}", first(&wrong));
        Err(Error::Invalid(message))
    }
}

fn of_geneval(line: &str) -> Result<String, String> {
    let must = r#"must be {"tag": "…", "include": […], "prompt": "…"}"#;
    let json: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {must}"))?;
    let text = |key: &str| json[key].as_str().filter(|text| !text.trim().is_empty()).map(String::from);
    let missing = |key: &str| format!("has no `{key}`: {must}");
    text("tag").ok_or_else(|| missing("tag"))?;
    json["include"].as_array().ok_or_else(|| missing("include"))?;
    text("prompt").ok_or_else(|| missing("prompt"))
}

fn of_compbench(line: &str) -> Result<String, String> {
    let text = line.split('\t').next().unwrap_or(line);
    if text.trim().is_empty() { Err("begins with a tab".into()) } else { Ok(text.to_string()) }
}
