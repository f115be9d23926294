//! The JSON of a folder of latents.
use super::labels::labelled;
use super::source::Latents;
use crate::data::listing::first;
use crate::data::{DataSplit, HeldOut};
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A folder of latents, and what belongs to them. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LatentsConfig {
    /// Holds `dataset.json` and the `.npy` or `.safetensors` files it lists.
    pub folder: PathBuf,
    /// `[C, H, W]` of a latent.
    pub shape: [usize; 3],
    /// Number of classes; 0 ignores labels and takes every file of the folder, each as class 0.
    pub classes: usize,
    /// The files hold `[2C, H, W]`, mean and standard deviation (REPA's preprocessing), and a latent is drawn anew
    /// each epoch; if false they hold `[C, H, W]`.
    pub posterior: bool,
    /// x = (z − shift)·scale, not 0: 0.18215 for Stable Diffusion's autoencoder (SiT, REPA), 1.5305 for SD3.5's, 1 for
    /// RAE.
    pub scale: f64,
    /// 0.0609 for SD3.5's autoencoder.
    #[serde(default)]
    pub shift: f64,
    /// RAE's statistics: `mean` and `var` in a `.pt` or `.safetensors` file, or `mean.npy` and `var.npy` in a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<PathBuf>,
    /// One folder for each encoder REPA aligns with, `[tokens, width]` per file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<PathBuf>,
    /// A folder of embedded prompts: a safetensors file with `context` and `pooled` per latent, and
    /// `null.safetensors` for the empty prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<PathBuf>,
    /// What is held out, chosen by a hash of the names: a share of each class, or a number of latents in all. One of each
    /// class at least.
    pub held_out: HeldOut,
    /// Seed of the split.
    #[serde(default)]
    pub seed: u64,
    /// Latents whose number, at the end of the name, is this or more are the mirrors of those with so much less: both are held
    /// out, or neither. `mixflow encode` writes it where it mirrors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub mirrors_from: Option<usize>,
    /// So many latents may be bad: each is named, and the next good one takes its place. More end the training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_bad_items: usize,
}

/// Whether a key is left out.
pub(in crate::data) fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl LatentsConfig {
    /// Every violated condition that shows without the files, with keys below `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |holds, key: &str, value: String, condition: &str| {
            Problem::unless(&mut problems, holds, path, key, value, condition);
        };
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        check(named(&self.folder), "folder", "\"\"".into(), "must name a folder");
        let sides = self.shape.iter().all(|side| (1..=1 << 16).contains(side));
        check(sides, "shape", format!("{:?}", self.shape), "each must be in 1..=65536");
        let scale = self.scale;
        check(scale.is_finite() && scale != 0.0, "scale", scale.to_string(), "must be finite and not 0");
        check(self.shift.is_finite(), "shift", self.shift.to_string(), "must be finite");
        for (i, folder) in self.features.iter().enumerate() {
            check(named(folder), &format!("features[{i}]"), "\"\"".into(), "must name a folder");
        }
        for (key, path) in [("normalization", &self.normalization), ("text", &self.text)] {
            check(path.as_ref().is_none_or(named), key, "\"\"".into(), "must name a file or folder");
        }
        let some = self.mirrors_from != Some(0);
        Problem::unless(&mut problems, some, path, "mirrors_from", 0, "must be at least 1, the number of pictures");
        problems.extend(self.held_out.problems(path));
        problems
    }

    /// Lists the files, pairs them by name and reads the first item, so that a wrong shape shows at once.
    /// [`DataSplit::verify`] reads the others.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition, [`Error::Io`] or [`Error::Format`] naming a file or folder
    /// that is absent or malformed.
    pub fn open(&self) -> Result<DataSplit> {
        Error::if_any(self.problems("data"))?;
        let listed = labelled(&self.folder, self.classes, self.max_bad_items)?;
        let unlisted = listed.unlisted.clone();
        let mut split = Latents::open(self, listed)?.split(self.held_out, self.seed)?;
        if !unlisted.is_empty() {
            let (folder, count) = (self.folder.display(), unlisted.len());
            let note =
                format!("{folder}: {count} file(s) are not listed in dataset.json and left out:{}", first(&unlisted));
            split.notes.push(note);
        }
        Ok(split)
    }
}
