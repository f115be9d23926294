//! One sample and what belongs to it.
use super::Array;
use crate::{Error, Result};
use std::path::Path;

/// One sample, as the network sees it: scaled and normalised.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    /// `C·H·W` values in row-major `[C, H, W]` order: the sample, or the mean of its posterior.
    pub data: Vec<f32>,
    /// The standard deviation of its posterior, where the files hold one.
    pub deviation: Option<Vec<f32>>,
    /// The class; 0 in data without classes.
    pub label: i64,
    /// `[tokens, width]` of each image encoder.
    pub features: Vec<Array>,
    /// The embedded prompt, where there is one.
    pub text: Option<TextItem>,
    /// Whether training may exchange left and right.
    pub mirror: bool,
}

/// One embedded prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct TextItem {
    /// The sequence `[tokens, width]`.
    pub context: Array,
    /// The pooled embedding `[width]`.
    pub pooled: Array,
}

impl TextItem {
    /// Reads `context` and `pooled`, in any type of floats, from a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] naming the file.
    pub fn read(file: &Path) -> Result<Self> {
        let [context, pooled] = Array::read_named(file, ["context", "pooled"])?;
        if context.shape.len() != 2 || pooled.shape.len() != 1 {
            let (c, p) = (context.shape, pooled.shape);
            return Err(Error::format(
                file,
                format!("context {c:?} and pooled {p:?}: must be [tokens, width], [width]"),
            ));
        }
        Ok(Self { context, pooled })
    }
}
