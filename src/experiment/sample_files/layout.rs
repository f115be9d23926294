//! Where each generated picture is.
use crate::experiment::prompts::{Benchmark, PromptSet};
use crate::{Error, Result};
use serde_json::{Value, json};

/// Which pictures are generated, and the name of each.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleLayout {
    /// So many, numbered.
    Numbered {
        /// How many; an earlier run may have made fewer.
        count: usize,
    },
    /// Some of every prompt, as the scorer of its benchmark reads them.
    Prompts {
        /// The prompts.
        set: PromptSet,
        /// Pictures of each: 4 for GenEval, 10 for T2I-CompBench.
        per_prompt: usize,
    },
}

impl SampleLayout {
    /// Number of pictures.
    pub fn total(&self) -> usize {
        match self {
            Self::Numbered { count } => *count,
            Self::Prompts { set, per_prompt } => set.prompts().len().saturating_mul(*per_prompt),
        }
    }

    /// The name of a picture below the folder.
    pub fn file(&self, index: usize) -> String {
        match self {
            Self::Numbered { .. } => format!("pictures/{index:06}.png"),
            Self::Prompts { set, per_prompt } => {
                let (prompt, sample) = (index / per_prompt, index % per_prompt);
                match set.benchmark() {
                    Benchmark::GenEval => format!("{prompt:05}/samples/{sample:04}.png"),
                    // The number is the `question_id` of the scores, and so another for every picture.
                    Benchmark::CompBench => format!("samples/{}", file_of(&set.prompts()[prompt].text, index)),
                }
            }
        }
    }

    /// The position of a picture's noise in the streams of a seed. That of a prompt depends on its text and on the number of
    /// the picture among those of the prompt, and on nothing else.
    pub fn noise_position(&self, index: usize) -> u64 {
        match self {
            Self::Numbered { .. } => index as u64,
            Self::Prompts { set, per_prompt } => set.prompts()[index / per_prompt].noise_position(index % per_prompt),
        }
    }

    /// # Errors
    /// [`Error::Invalid`] if there is nothing to draw, or naming every prompt that cannot be the name of a file.
    pub(super) fn check(&self) -> Result<()> {
        if self.total() == 0 {
            return Err(Error::Invalid("no picture is to be drawn: the count must be at least 1".into()));
        }
        match self {
            Self::Numbered { .. } => Ok(()),
            Self::Prompts { set, .. } => set.check_names(),
        }
    }

    /// What must not change while pictures are added.
    pub(super) fn identity(&self) -> Value {
        match self {
            Self::Numbered { .. } => json!("numbered"),
            Self::Prompts { set, per_prompt } => json!({"prompts": set.hash(), "per_prompt": per_prompt}),
        }
    }

    /// The files beside the pictures: name and text.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        match self {
            Self::Prompts { set, .. } if set.benchmark() == Benchmark::GenEval => {
                let text = |(number, line): (usize, &str)| (format!("{number:05}/metadata.jsonl"), line.to_string());
                set.prompts().iter().map(|prompt| prompt.line()).enumerate().map(text).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The name that T2I-CompBench's scorers read a prompt and a number from.
pub(in crate::experiment) fn file_of(prompt: &str, number: usize) -> String {
    format!("{prompt}_{number:06}.png")
}
