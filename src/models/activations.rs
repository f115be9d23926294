//! How many numbers the graph of a training pass keeps for its backward pass, counted by the operations of
//! [`ops`](crate::ops), for n tokens of width w with a hidden layer of h:
//!
//! | block | numbers |
//! |---|---|
//! | SiT, REPA | n (10 w + 2 h) |
//! | RAE, under one condition; under one for each token | n (12 w + 3 h); n (18 w + 3 h) |
//! | MMDiT: image and text of a block, with normed queries and keys | n (12 w + 2 h); 9 n w more for attention of the image alone |
//! | MMDiT: the text of the last block | 11 n w |
//! | residual MLP | 5 w + 2 h |
//!
//! To those of tokens come the parts of a modulation, about 25 w. A test holds these counts to what the allocator counts.
use super::NetworkConfig;

/// Text tokens of Stable Diffusion 3.5: 77 of CLIP and 77 of T5.
const TEXT_TOKENS: u128 = 154;

/// Parts of a modulation, in tensors of the width.
const MODULATION: u128 = 25;

/// Numbers that one item keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activations {
    /// Inside of each block.
    pub blocks: Vec<u128>,
    /// Between two blocks.
    pub between: u128,
    /// Before the first and after the last.
    pub outside: u128,
}

impl Activations {
    /// All of them.
    pub fn whole(&self) -> u128 {
        self.blocks.iter().sum::<u128>().saturating_add(self.outside)
    }

    /// What is left of them where the graph of one block is made at a time.
    pub fn recomputed(&self) -> u128 {
        let between = self.between.saturating_mul(self.blocks.len() as u128);
        let one = self.blocks.iter().max().copied().unwrap_or(0);
        between.saturating_add(self.outside).saturating_add(one)
    }
}

fn size(number: usize) -> u128 {
    number as u128
}

fn square(side: usize, patch: usize) -> u128 {
    size(side / patch.max(1)).pow(2)
}

fn hidden(width: usize, ratio: f64) -> u128 {
    (width as f64 * ratio) as u128
}

/// SiT's: (numbers of a block, numbers between, numbers outside).
fn sit(tokens: u128, width: usize, ratio: f64, depth: usize) -> Activations {
    let (w, h) = (size(width), hidden(width, ratio));
    let block = tokens * (10 * w + 2 * h) + MODULATION * w;
    Activations { blocks: vec![block; depth], between: tokens * w, outside: 9 * tokens * w / 4 }
}

impl NetworkConfig {
    /// What the graph keeps of an item of `[channels, height, width]`. The configuration must have no problems.
    pub(crate) fn activations(&self, [_, height, width]: [usize; 3]) -> Activations {
        match self {
            Self::ResidualMlp(c) => {
                let (w, h) = (size(c.width), size(c.width) * size(c.expansion));
                let input = size(c.channels) * size(c.size).pow(2);
                Activations {
                    blocks: vec![5 * w + 2 * h; c.depth],
                    between: w,
                    outside: 3 * w + 3 * input + 8 * size(c.embedding),
                }
            }
            Self::Sit(c) => sit(square(c.input_size, c.patch_size), c.hidden_size, c.mlp_ratio, c.depth),
            Self::Repa(c) => {
                let tokens = square(c.input_size, c.patch_size);
                let mut found = sit(tokens, c.hidden_size, c.mlp_ratio, c.depth);
                let projectors = c.z_dims.iter().map(|z| tokens * (4 * size(c.projector_dim) + 2 * size(*z)));
                found.outside += projectors.sum::<u128>();
                found
            }
            Self::Rae(c) => {
                let tokens = square(c.input_size, c.patch_size);
                let block = |part: usize, widths: u128| {
                    let w = size(c.hidden_size[part]);
                    tokens * (widths * w + 3 * size(c.mlp_width(part))) + MODULATION * w
                };
                let [encoder, head] = [block(0, 12), block(1, 18)];
                Activations {
                    blocks: [vec![encoder; c.depth[0]], vec![head; c.depth[1]]].concat(),
                    between: tokens * size(c.hidden_size[0].max(c.hidden_size[1])),
                    outside: 17 * tokens * size(c.hidden_size[1]) / 2,
                }
            }
            Self::Mmdit(c) => {
                let w = size(c.width());
                let patch = c.patch_size.max(1);
                let image = size(height / patch) * size(width / patch);
                let norms = if c.qk_norm { 2 } else { 0 };
                let both = (10 + norms) * w + 2 * hidden(c.width(), c.mlp_ratio);
                let last = c.depth.saturating_sub(1);
                let block = |i: usize| {
                    let dual = if c.dual_attention.contains(&i) { 9 * image * w } else { 0 };
                    let text = if i == last { 11 * TEXT_TOKENS * w } else { TEXT_TOKENS * both };
                    image * both + dual + text + 2 * MODULATION * w
                };
                Activations {
                    blocks: (0..c.depth).map(block).collect(),
                    between: (image + TEXT_TOKENS) * w,
                    outside: 13 * image * w / 5,
                }
            }
        }
    }
}
