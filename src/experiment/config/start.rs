//! Where the weights come from that post-training starts with.
use crate::Problem;
use crate::models::weights::{ImportOptions, WeightSource};
use crate::post_train::StageConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The section `start`. File names are relative to the folder the program runs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StartConfig {
    /// Plain flow matching from scratch; its average is kept under a hash of what made it, and not trained twice.
    Pretrain(Box<StageConfig>),
    /// An official checkpoint, or any file of weights under official names.
    Weights(WeightsConfig),
    /// The average of an earlier run of this program.
    Run(RunConfig),
    /// No weights: the exact field of a ring, which training with a strategy aims at.
    Exact(ExactConfig),
}

impl Default for StartConfig {
    fn default() -> Self {
        Self::Pretrain(Box::default())
    }
}

/// A file of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsConfig {
    /// Safetensors, or what PyTorch saved, by its contents; of shards the index, one of them, or their folder.
    pub file: PathBuf,
    /// Which set of a checkpoint: its EMA if it has one, unless told otherwise.
    #[serde(default)]
    pub source: WeightSource,
    /// What the names of the set begin with in the file, such as `teacher`, where a file has several that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Official names of parameters the file need not have; `projectors` allows all `projectors.*`.
    #[serde(default)]
    pub allow_missing: Vec<String>,
    /// Official names of tensors of the file the model need not have; `decoder` allows all `decoder.*`.
    #[serde(default)]
    pub allow_unused: Vec<String>,
    /// Official names of parameters that stay fresh, whatever the file has: embeddings of other classes (`y_embedder`),
    /// positions of another resolution (`pos_embed`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
    /// Adapters that are added to the weights: safetensors of PEFT or diffusers, or their folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<PathBuf>,
}

impl WeightsConfig {
    /// As the importer takes it.
    pub fn options(&self) -> ImportOptions {
        ImportOptions {
            source: self.source,
            prefix: self.prefix.clone(),
            allow_missing: self.allow_missing.clone(),
            allow_unused: self.allow_unused.clone(),
            replace: self.replace.clone(),
        }
    }

    /// The violated conditions, with keys below `path`.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let named = !self.file.as_os_str().is_empty();
        Problem::unless(&mut problems, named, path, "file", "\"\"", "must name a file");
        if let Some(prefix) = &self.prefix {
            let shown = format!("{prefix:?}");
            let is_one = !prefix.trim_matches('.').is_empty();
            Problem::unless(&mut problems, is_one, path, "prefix", &shown, "must be what names begin with");
            let alone = self.source == WeightSource::Auto;
            let must = "must be left out beside `source`: it says which set is meant";
            Problem::unless(&mut problems, alone, path, "prefix", &shown, must);
        }
        problems
    }
}

/// A run of this program whose weights are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The folder that `mixflow post-train` wrote, or one arm at one seed of `mixflow compare`; it, or the `post_train`
    /// in it, holds `ema.bpk`.
    pub folder: PathBuf,
}

/// Nothing more needs to be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExactConfig {}

impl StartConfig {
    /// The stage that makes the weights, if they are made here.
    pub fn pretrain(&self) -> Option<&StageConfig> {
        if let Self::Pretrain(stage) = self { Some(stage) } else { None }
    }

    /// Whether there are no weights to train.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// The violated conditions that only this section knows, with keys below `path`.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        match self {
            Self::Exact(_) => Vec::new(),
            Self::Pretrain(stage) => {
                let mut problems = Vec::new();
                let must = "must be left out: beside weights that say nothing there is nothing to adapt";
                let adapter = "an adapter";
                Problem::unless(&mut problems, stage.adapter.is_none(), path, "adapter", adapter, must);
                problems
            }
            Self::Weights(weights) => weights.problems(path),
            Self::Run(run) => {
                let mut problems = Vec::new();
                let named = !run.folder.as_os_str().is_empty();
                Problem::unless(&mut problems, named, path, "folder", "\"\"", "must name a folder");
                problems
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_in_place_of_a_source() {
        let problems = |json: &str| {
            let config: StartConfig = serde_json::from_str(json).unwrap();
            config.problems("start").iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(problems(r#"{"kind": "weights", "file": "w", "prefix": "teacher"}"#).is_empty());
        assert_eq!(
            problems(r#"{"kind": "weights", "file": "w", "prefix": ".", "source": "raw"}"#),
            [
                r#"start.prefix = ".": must be what names begin with"#,
                r#"start.prefix = ".": must be left out beside `source`: it says which set is meant"#,
            ]
        );
    }
}
