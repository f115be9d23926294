//! The JSON of the text encoders of Stable Diffusion 3.5: their files, and how long a text may be.
use crate::Problem;
use crate::models::encoders::TextPrecision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How long the part of a condition is that T5 makes, in tokens of which the last ends the text.
///
/// Every token is seen by all, padding too: what a text becomes depends on the length to which it is padded. A folder of latents
/// needs one length, that of the empty prompt: `least` = `most` there, or texts of at most `least` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct T5Length {
    /// Shorter texts are padded to so many.
    pub least: usize,
    /// Longer texts are cut to so many, at least `least`.
    pub most: usize,
    /// Only so many characters of a prompt are read by T5; `null` for all.
    pub characters: Option<usize>,
}

impl Default for T5Length {
    /// As Stability's code: at least 77, and the first 226 characters, which are seldom more tokens than that.
    fn default() -> Self {
        Self { least: 77, most: 256, characters: Some(226) }
    }
}

impl T5Length {
    /// Always so many, of all characters, as latents need it: 77 for a condition of 154 tokens, 256 as diffusers.
    pub fn fixed(tokens: usize) -> Self {
        Self { least: tokens, most: tokens, characters: None }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let (least, most) = (self.least, self.most);
        Problem::unless(&mut found, least > 0, path, "least", least, "must be at least 1");
        Problem::unless(&mut found, most >= least, path, "most", most, format!("must be at least {least}, as `least`"));
        found
    }
}

/// The text encoders of Stable Diffusion 3.5. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SdTextConfig {
    /// CLIP-L: `clip_l.safetensors`, or a folder of transformers.
    pub clip_l: PathBuf,
    /// CLIP-G: `clip_g.safetensors`, a folder of transformers, or OpenCLIP's file.
    pub clip_g: PathBuf,
    /// T5 v1.1 XXL: `t5xxl_fp16.safetensors`, or a folder of transformers.
    pub t5: PathBuf,
    /// The tokenizer of both CLIP: `tokenizer.json`, or the folder that holds it or `vocab.json` and `merges.txt`.
    pub clip_tokenizer: PathBuf,
    /// The tokenizer of T5: `tokenizer.json`, or the folder that holds it.
    pub t5_tokenizer: PathBuf,
    /// How long the part of T5 is.
    #[serde(default)]
    pub t5_length: T5Length,
    /// The type of the weights. T5-XXL takes 19 GB in `f32` and 9.5 GB in `bf16`.
    #[serde(default)]
    pub precision: TextPrecision,
    /// Prompts that are encoded at a time.
    #[serde(default = "batch")]
    pub batch: usize,
}

fn batch() -> usize {
    8
}

impl SdTextConfig {
    /// Every violated condition that shows without the files, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        for (key, file) in [
            ("clip_l", &self.clip_l),
            ("clip_g", &self.clip_g),
            ("t5", &self.t5),
            ("clip_tokenizer", &self.clip_tokenizer),
            ("t5_tokenizer", &self.t5_tokenizer),
        ] {
            let named = !file.as_os_str().is_empty();
            Problem::unless(&mut found, named, path, key, "\"\"", "must name a file or folder");
        }
        Problem::unless(&mut found, self.batch > 0, path, "batch", self.batch, "must be at least 1");
        let below = if path.is_empty() { "t5_length".to_string() } else { format!("{path}.t5_length") };
        found.extend(self.t5_length.problems(&below));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let json = r#"{"clip_l": "l", "clip_g": "g", "t5": "", "clip_tokenizer": "c", "t5_tokenizer": "t", "batch": 0,
            "t5_length": {"least": 80, "most": 77}}"#;
        let config: SdTextConfig = serde_json::from_str(json).unwrap();
        assert_eq!((config.precision, config.t5_length.characters), (TextPrecision::F32, Some(226)));
        let problems: Vec<_> = config.problems("text").iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "text.t5 = \"\": must name a file or folder",
                "text.batch = 0: must be at least 1",
                "text.t5_length.most = 77: must be at least 80, as `least`",
            ]
        );
    }
}
