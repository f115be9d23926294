//! The prompts of a text-to-image benchmark that pictures are drawn for, and what embeds them.
use super::{ExperimentConfig, add};
use crate::Problem;
use crate::models::NetworkConfig;
use crate::models::encoders::sd3_text::{SdTextConfig, SdTextSizes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Pictures of a prompt, at most.
const MOST_PER_PROMPT: usize = 1_000_000;

/// The prompts that `mixflow sample` draws pictures for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptsConfig {
    /// GenEval's `evaluation_metadata.jsonl`, or a `.txt` file of T2I-CompBench, a prompt a line.
    pub file: PathBuf,
    /// Pictures of each prompt; if left out 4 for GenEval and 10 for T2I-CompBench, as these ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub per_prompt: Option<usize>,
    /// What embeds them, and the empty prompt.
    pub text: TextConfig,
}

impl PromptsConfig {
    /// The keys of its files and folders, and these.
    pub(crate) fn files(&self) -> Vec<(String, PathBuf)> {
        let SdTextConfig { clip_l, clip_g, t5, clip_tokenizer, t5_tokenizer, .. } = &self.text.files;
        let of_text = [
            ("clip_l", clip_l),
            ("clip_g", clip_g),
            ("t5", t5),
            ("clip_tokenizer", clip_tokenizer),
            ("t5_tokenizer", t5_tokenizer),
        ];
        let of_text = of_text.map(|(key, path)| (format!("sample.prompts.text.files.{key}"), path.clone()));
        [("sample.prompts.file".to_string(), self.file.clone())].into_iter().chain(of_text).collect()
    }
}

/// The text encoders of Stable Diffusion 3.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Their files.
    pub files: SdTextConfig,
    /// Their sizes; the released ones if left out.
    #[serde(default)]
    pub sizes: SdTextSizes,
}

impl TextConfig {
    /// Every violated condition, with keys below `path`. Texts of several lengths are no batch, so that T5 must have one.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = self.files.problems(&format!("{path}.files"));
        let length = self.files.t5_length;
        let must = format!(
            "must be {0}, as `least`: every text and the empty one need one length, as {{\"least\": 77, \"most\": 77, \
             \"characters\": null}}",
            length.least
        );
        let key = format!("{path}.files.t5_length");
        Problem::unless(&mut found, length.most <= length.least, &key, "most", length.most, must);
        found.extend(self.sizes.problems(&format!("{path}.sizes")));
        found
    }
}

impl ExperimentConfig {
    pub(super) fn prompt_problems(&self, path: &str) -> Vec<Problem> {
        let Some(prompts) = &self.sample.prompts else { return Vec::new() };
        let mut problems = prompts.text.problems(&format!("{path}.text"));
        let named = !prompts.file.as_os_str().is_empty();
        Problem::unless(&mut problems, named, path, "file", "\"\"", "must name a file");
        let count = prompts.per_prompt.unwrap_or(1);
        let some = (1..=MOST_PER_PROMPT).contains(&count);
        Problem::unless(&mut problems, some, path, "per_prompt", count, format!("must be from 1 to {MOST_PER_PROMPT}"));
        if self.sample.autoencoder.is_none() {
            add(&mut problems, path.into(), ": needs `sample.autoencoder`, since pictures are what is scored");
        }
        let NetworkConfig::Mmdit(network) = &self.network else {
            add(&mut problems, path.into(), ": only a network of kind \"mmdit\" reads text");
            return problems;
        };
        let (sizes, key) = (&prompts.text.sizes, format!("{path}.text.sizes"));
        let mut must = |name: &str, found: usize, wanted: usize, what: &str| {
            let must = format!("must be {wanted}, {what}");
            Problem::unless(&mut problems, found == wanted, &key, name, found, must);
        };
        must("t5.d_model", sizes.t5.d_model, network.context_width, "`network.context_width`");
        if let (Some(projection), Some(wanted)) = (sizes.clip_g.projection_dim, network.pooled_width) {
            let clip_l = sizes.clip_l.hidden_size;
            let left = wanted.saturating_sub(clip_l);
            must(
                "clip_g.projection_dim",
                projection,
                left,
                &format!("`network.pooled_width` less the {clip_l} of CLIP-L"),
            );
        }
        problems
    }
}
