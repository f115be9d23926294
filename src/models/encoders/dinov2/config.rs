//! The sizes of a DINOv2 and its initial weights.
use super::DinoV2;
use super::attention::{Attention, SplitAttention};
use super::block::{Block, fresh_norm};
use super::layouts::SplitDinoV2;
use crate::models::layers::{Law, WeightInit};
use crate::models::sit::PatchEmbedding;
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Colours of a pixel.
pub(super) const COLOURS: usize = 3;

/// Sizes of a [`DinoV2`]; the defaults are those of [`DinoV2Config::base`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DinoV2Config {
    /// Width of the tokens; a multiple of `heads`.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Hidden units of the MLP for each channel of a token.
    pub mlp_ratio: usize,
    /// Pixels on the side of a patch.
    pub patch_size: usize,
    /// Pixels on the side of the images that the table of positions is for; a multiple of `patch_size`. Images of other sizes
    /// get positions resampled from it.
    pub image_size: usize,
    /// Register tokens (Darcet et al. 2023, arXiv 2309.16588); 0 for none.
    pub registers: usize,
}

impl Default for DinoV2Config {
    fn default() -> Self {
        Self::base()
    }
}

impl DinoV2Config {
    /// DINOv2-B/14: 86,580,480 parameters.
    pub fn base() -> Self {
        Self { width: 768, depth: 12, heads: 12, mlp_ratio: 4, patch_size: 14, image_size: 518, registers: 0 }
    }

    /// DINOv2-B/14 with 4 registers: 86,583,552 parameters.
    pub fn base_with_registers() -> Self {
        Self { registers: 4, ..Self::base() }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: usize, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        for (key, size) in [
            ("width", self.width),
            ("depth", self.depth),
            ("mlp_ratio", self.mlp_ratio),
            ("patch_size", self.patch_size),
        ] {
            check(size > 0, key, size, "must be at least 1");
        }
        let divides = self.heads > 0 && self.width.is_multiple_of(self.heads);
        check(divides, "heads", self.heads, &format!("must divide width = {}", self.width));
        let whole = self.image_size > 0 && self.image_size.is_multiple_of(self.patch_size);
        let patches = format!("must be a positive multiple of patch_size = {}", self.patch_size);
        check(whole, "image_size", self.image_size, &patches);
        check(self.depth <= MOST_BLOCKS, "depth", self.depth, &format!("must be at most {MOST_BLOCKS}"));
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The network with weights N(0, 0.02²) that are a pure function of seed 0; for official weights see [`DinoV2::load`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<DinoV2> {
        Error::if_any(self.problems(""))?;
        Ok(self.network(self.positions() + 1, Law::Normal { std: 0.02 }, &mut WeightInit::new(0, device)))
    }

    /// The network with a table of so many positions.
    pub(super) fn network(&self, positions: usize, law: Law, init: &mut WeightInit) -> DinoV2 {
        let (width, hidden) = (self.width, self.mlp_ratio * self.width);
        let mut token = |count| init.weight([1, count, width], count, width, law);
        let (cls_token, pos_embed) = (token(1), token(positions));
        let register_tokens = (self.registers > 0).then(|| token(self.registers));
        let patch_embed = PatchEmbedding::new(COLOURS, self.patch_size, width, init);
        let mut block = || Block::new(Attention::new(width, self.heads, law, init), width, hidden, law, init);
        let blocks = (0..self.depth).map(|_| block()).collect();
        let norm = fresh_norm(width, init);
        DinoV2 { cls_token, pos_embed, register_tokens, patch_embed, blocks, norm, patch_size: self.patch_size }
    }

    /// The same for files with a projection each for queries, keys and values; all weights are zero.
    pub(super) fn split_network(&self, init: &mut WeightInit) -> SplitDinoV2 {
        let (width, hidden) = (self.width, self.mlp_ratio * self.width);
        let token = |count, init: &WeightInit| init.zeros([1, count, width]);
        let block = |init: &mut WeightInit| {
            Block::new(SplitAttention::zeros(width, self.heads, init), width, hidden, Law::Zeros, init)
        };
        SplitDinoV2 {
            cls_token: token(1, init),
            pos_embed: token(self.positions() + 1, init),
            register_tokens: (self.registers > 0).then(|| token(self.registers, init)),
            patch_embed: PatchEmbedding::new(COLOURS, self.patch_size, width, init),
            blocks: (0..self.depth).map(|_| block(init)).collect(),
            norm: fresh_norm(width, init),
            patch_size: self.patch_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = DinoV2Config { heads: 7, image_size: 224 + 1, mlp_ratio: 0, ..DinoV2Config::base() };
        let paths: Vec<_> = config.problems("encoder").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["encoder.mlp_ratio", "encoder.heads", "encoder.image_size"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 3));
        let config = DinoV2Config { patch_size: 0, heads: 0, ..DinoV2Config::base() };
        assert_eq!(config.problems("").len(), 3);
        let config = DinoV2Config { width: 1 << 40, heads: 1, ..DinoV2Config::base() };
        let problems = config.problems("encoder");
        assert!(problems.len() == 1 && problems[0].path == "encoder.width", "{problems:?}");
    }
}
