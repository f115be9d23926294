//! The way in (patches, labels) and the way out (final layer).
use crate::models::layers::{Law, WeightInit, linear};
use crate::ops::{modulate_norm, silu};
use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::tensor::{Int, Tensor};

/// A convolution whose kernel and stride are the patch, with the weight `[width, channels, p, p]` of a `Conv2d`.
#[derive(Module, Debug)]
pub struct PatchProjection {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

/// Image `[batch, channels, height, width]` to tokens `[batch, patches, width]`, row-major.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    proj: PatchProjection,
}

impl PatchEmbedding {
    /// Patches of side `patch` with Xavier weights on the `[width, channels * patch * patch]` view.
    pub fn new(channels: usize, patch: usize, width: usize, init: &mut WeightInit) -> Self {
        let shape = [width, channels, patch, patch];
        let weight = init.weight(shape, channels * patch * patch, width, Law::XavierUniform);
        Self { proj: PatchProjection { weight, bias: init.zeros([width]) } }
    }

    /// The convolution as one matrix product.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = image.dims();
        let weight = self.proj.weight.val();
        let [out, _, p, _] = weight.dims();
        let (rows, columns, inputs) = (height / p, width / p, channels * p * p);
        let patches: Tensor<6> = image.reshape([batch, channels, rows, p, columns, p]).permute([0, 2, 4, 1, 3, 5]);
        let tokens =
            patches.reshape([batch * rows * columns, inputs]).matmul(weight.reshape([out, inputs]).transpose());
        (tokens + self.proj.bias.val().unsqueeze()).reshape([batch, rows * columns, out])
    }
}

/// One vector per label, and one for "no label".
#[derive(Module, Debug)]
pub struct LabelEmbedding {
    embedding_table: Embedding,
}

impl LabelEmbedding {
    /// `rows` vectors with entries N(0, 0.02²).
    pub fn new(rows: usize, width: usize, init: &mut WeightInit) -> Self {
        Self { embedding_table: init.embedding(rows, width, Law::Normal { std: 0.02 }) }
    }

    /// Labels `[batch]` in `0..rows` to `[batch, width]`.
    pub fn forward(&self, labels: Tensor<1, Int>) -> Tensor<2> {
        self.embedding_table.weight.val().select(0, labels)
    }
}

/// Linear(modulate(LN(x), shift, scale)), (shift, scale) = Linear(SiLU(c)); all weights start at zero.
#[derive(Module, Debug)]
pub struct FinalLayer {
    linear: Linear,
    modulation: Linear,
}

impl FinalLayer {
    /// From `width` to `outputs` values per token.
    pub fn new(width: usize, outputs: usize, init: &mut WeightInit) -> Self {
        Self { linear: init.linear(width, outputs, Law::Zeros), modulation: init.linear(width, 2 * width, Law::Zeros) }
    }

    /// Tokens `[batch, tokens, width]` under the condition `[batch, width]` to `[batch, tokens, outputs]`.
    pub fn forward(&self, tokens: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        self.forward_activated(tokens, silu(condition))
    }

    /// The same for a condition to which SiLU was applied already: the blocks before share it.
    pub fn forward_activated(&self, tokens: Tensor<3>, activated: Tensor<2>) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let parts = linear(&self.modulation, activated).unsqueeze_dim::<3>(1);
        let [shift, scale] = [0, 1].map(|i| parts.clone().narrow(2, i * width, width));
        linear(&self.linear, modulate_norm(tokens, shift, scale, 1e-6))
    }
}
