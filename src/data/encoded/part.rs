//! The kinds of files that pictures become: where each is, and how long it is.
use crate::data::npy;
use serde::{Deserialize, Serialize};

/// Files of one folder of a number: 1000 of them.
pub(super) const PER_FOLDER: usize = 1000;

/// Indices have eight digits.
pub(super) const MOST: usize = 100_000_000;

/// One kind of file that each picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EncodedPart {
    /// The cropped picture as PNG: `images/`.
    Pictures {
        /// Its side in pixels.
        size: usize,
    },
    /// Mean and standard deviation of an autoencoder's posterior: `vae-sd/`.
    Posterior {
        /// `[C, H, W]` of the mean; the file holds `[2C, H, W]`.
        shape: [usize; 3],
    },
    /// A latent without deviation: `latents/`.
    Latents {
        /// `[C, H, W]`.
        shape: [usize; 3],
    },
    /// What a REPA projector is aligned with: `features/`.
    Features {
        /// Patches of a picture.
        tokens: usize,
        /// Numbers of a patch.
        width: usize,
    },
    /// An embedded prompt: `text/`.
    Text {
        /// Length of the sequence.
        tokens: usize,
        /// Numbers of a token.
        width: usize,
        /// Numbers of the pooled embedding.
        pooled: usize,
        /// How numbers are stored.
        stored: StoredFloats,
    },
}

/// How the numbers of embedded prompts are stored: they are the largest files by far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StoredFloats {
    /// 4 bytes each.
    F32,
    /// 2 bytes each, rounded to the nearest.
    Bf16,
}

impl EncodedPart {
    /// The folder of its files, below that of the encoding.
    pub fn folder(&self) -> &'static str {
        match self {
            Self::Pictures { .. } => "images",
            Self::Posterior { .. } => "vae-sd",
            Self::Latents { .. } => "latents",
            Self::Features { .. } => "features",
            Self::Text { .. } => "text",
        }
    }

    /// The name below [`folder`](Self::folder) of the file with an index.
    pub fn file(&self, index: usize) -> String {
        let (before, after) = match self {
            Self::Pictures { .. } => ("img", "png"),
            Self::Posterior { .. } => ("img-mean-std-", "npy"),
            Self::Latents { .. } => ("img-latent-", "npy"),
            Self::Features { .. } => ("img-feature-", "npy"),
            Self::Text { .. } => ("img-text-", "safetensors"),
        };
        format!("{:05}/{before}{index:08}.{after}", index / PER_FOLDER)
    }

    /// Whether a `dataset.json` lists the files with their classes.
    pub(super) fn is_listed(&self) -> bool {
        matches!(self, Self::Pictures { .. } | Self::Posterior { .. } | Self::Latents { .. })
    }

    /// The shape of the numbers in an `.npy` file; none of other files.
    pub(super) fn array(&self) -> Option<Vec<usize>> {
        match *self {
            Self::Posterior { shape: [channels, height, width] } => Some(vec![2 * channels, height, width]),
            Self::Latents { shape } => Some(shape.to_vec()),
            Self::Features { tokens, width } => Some(vec![tokens, width]),
            Self::Pictures { .. } | Self::Text { .. } => None,
        }
    }

    /// How many bytes a file has, where that is known beforehand.
    pub(super) fn length(&self) -> Option<u64> {
        let shape = self.array()?;
        let numbers: usize = shape.iter().product();
        Some((npy::header_of("<f4", &shape).len() + 4 * numbers) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_repa() {
        let posterior = EncodedPart::Posterior { shape: [4, 32, 32] };
        assert_eq!(posterior.file(0), "00000/img-mean-std-00000000.npy");
        assert_eq!(EncodedPart::Pictures { size: 256 }.file(1_281_166), "01281/img01281166.png");
        assert_eq!((posterior.array(), posterior.length()), (Some(vec![8, 32, 32]), Some(128 + 4 * 8192)));
    }
}
