//! Multi-head attention whose queries and keys are normed head by head, and which may be joint over two streams.
use super::HEAD_SIZE;
use crate::models::layers::{Law, Rms, WeightInit, linear};
use crate::ops;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// Queries, keys and values, each `[batch, tokens, heads, 64]`.
#[derive(Debug, Clone)]
pub struct Heads {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
}

impl Heads {
    /// The tokens of both streams, one after the other.
    pub fn join(self, other: Self) -> Self {
        let both = |a, b| Tensor::cat(vec![a, b], 1);
        Self {
            query: both(self.query, other.query),
            key: both(self.key, other.key),
            value: both(self.value, other.value),
        }
    }

    /// softmax(q kᵀ / 8) v as `[batch, tokens, 64 heads]`.
    pub fn attend(self) -> Tensor<3> {
        let [batch, count, heads, size] = self.query.dims();
        let [q, k, v] = [self.query, self.key, self.value].map(|t| t.swap_dims(1, 2));
        let mixed = ops::attention(q, k, v);
        mixed.swap_dims(1, 2).reshape([batch, count, heads * size])
    }
}

/// The projections around an attention; `proj` is absent where the result would be thrown away.
#[derive(Module, Debug)]
pub struct JointAttention {
    qkv: Linear,
    proj: Option<Linear>,
    ln_q: Option<Rms>,
    ln_k: Option<Rms>,
}

impl JointAttention {
    /// Over tokens of `width`, a multiple of 64; with `qk_norm` queries and keys are normed, with `output` the mixed
    /// values are projected.
    pub fn new(width: usize, qk_norm: bool, output: bool, init: &mut WeightInit) -> Self {
        let law = Law::XavierUniform;
        Self {
            qkv: init.linear(width, 3 * width, law),
            proj: output.then(|| init.linear(width, width, law)),
            ln_q: qk_norm.then(|| Rms::new(HEAD_SIZE, init)),
            ln_k: qk_norm.then(|| Rms::new(HEAD_SIZE, init)),
        }
    }

    /// Queries, keys and values of tokens `[batch, tokens, width]`.
    pub fn heads(&self, tokens: Tensor<3>) -> Heads {
        let [batch, count, width] = tokens.dims();
        let qkv = linear(&self.qkv, tokens).reshape([batch, count, 3, width / HEAD_SIZE, HEAD_SIZE]);
        let [query, key, value] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2));
        let normed = |norm: &Option<Rms>, heads| match norm {
            Some(norm) => norm.forward(heads),
            None => heads,
        };
        Heads { query: normed(&self.ln_q, query), key: normed(&self.ln_k, key), value }
    }

    /// The output for mixed values `[batch, tokens, width]`; they themselves without a projection.
    pub fn project(&self, mixed: Tensor<3>) -> Tensor<3> {
        match &self.proj {
            Some(proj) => linear(proj, mixed),
            None => mixed,
        }
    }

    /// Self-attention: maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.project(self.heads(tokens).attend())
    }
}
