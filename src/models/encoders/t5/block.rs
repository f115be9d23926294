//! One layer: x += attention(RMS(x)), then x += MLP(RMS(x)) with the MLP (GELU(x W₀) · (x W₁)) Wₒ.
use super::T5EncoderConfig;
use crate::Result;
use crate::models::encoders::text_precision::in_f32;
use crate::models::encoders::text_weights::TextWeights;
use crate::models::layers::product;
use crate::ops;
use burn::module::{Module, Param};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

/// A pre-norm transformer layer without biases.
#[derive(Module, Debug)]
pub(super) struct T5Block {
    q: Param<Tensor<2>>,
    k: Param<Tensor<2>>,
    v: Param<Tensor<2>>,
    o: Param<Tensor<2>>,
    attention_norm: Param<Tensor<1>>,
    wi_0: Param<Tensor<2>>,
    wi_1: Param<Tensor<2>>,
    wo: Param<Tensor<2>>,
    mlp_norm: Param<Tensor<1>>,
    heads: usize,
    epsilon: f64,
}

impl T5Block {
    /// The layer whose parameters are `name.0.…` and `name.1.…`.
    pub(super) fn made(config: &T5EncoderConfig, name: &str, weights: &mut TextWeights<'_>) -> Result<Self> {
        let (width, hidden) = (config.d_model, config.d_ff);
        let inner = product([config.num_heads, config.d_kv]);
        let mut matrix = |rest: &str, sides: [usize; 2], deviation: f64| {
            weights.matrix(&format!("{name}.{rest}.weight"), sides, deviation)
        };
        // Mesh TensorFlow's: a query is small, so that its products with keys need no scale.
        let [of_width, of_inner, of_hidden] = [width, inner, hidden].map(|side| (side as f64).sqrt().recip());
        let of_query = ((width * config.d_kv) as f64).sqrt().recip();
        Ok(Self {
            q: matrix("0.SelfAttention.q", [width, inner], of_query)?,
            k: matrix("0.SelfAttention.k", [width, inner], of_width)?,
            v: matrix("0.SelfAttention.v", [width, inner], of_width)?,
            o: matrix("0.SelfAttention.o", [inner, width], of_inner)?,
            wi_0: matrix("1.DenseReluDense.wi_0", [width, hidden], of_width)?,
            wi_1: matrix("1.DenseReluDense.wi_1", [width, hidden], of_width)?,
            wo: matrix("1.DenseReluDense.wo", [hidden, width], of_hidden)?,
            attention_norm: weights.vector(&format!("{name}.0.layer_norm.weight"), width, 1.0)?,
            mlp_norm: weights.vector(&format!("{name}.1.layer_norm.weight"), width, 1.0)?,
            heads: config.num_heads,
            epsilon: config.layer_norm_epsilon,
        })
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape; `biases` `[1, heads, tokens, tokens]` are added to products of
    /// queries and keys.
    pub(super) fn forward(&self, tokens: Tensor<3>, biases: Tensor<4>) -> Tensor<3> {
        let normed = ops::rms_norm(tokens.clone(), self.attention_norm.val(), self.epsilon);
        let tokens = tokens + self.attention(normed, biases);
        let normed = ops::rms_norm(tokens.clone(), self.mlp_norm.val(), self.epsilon);
        let gate = in_f32(times(normed.clone(), &self.wi_0), ops::gelu_tanh);
        tokens + times(gate * times(normed, &self.wi_1), &self.wo)
    }

    /// softmax(q kᵀ + biases) v, not scaled.
    fn attention(&self, tokens: Tensor<3>, biases: Tensor<4>) -> Tensor<3> {
        let [batch, count, _] = tokens.dims();
        let [q, k, v] = [&self.q, &self.k, &self.v].map(|weight| {
            let inner = weight.dims()[1];
            let heads: Tensor<4> =
                times(tokens.clone(), weight).reshape([batch, count, self.heads, inner / self.heads]);
            heads.swap_dims(1, 2)
        });
        let inner = self.o.dims()[0];
        let options = AttentionModuleOptions { scale: Some(1.0), ..Default::default() };
        let mixed = module::attention(q, k, v, None, Some(biases), options);
        times(mixed.swap_dims(1, 2).reshape([batch, count, inner]), &self.o)
    }
}

/// x W, as one product of all rows.
fn times(x: Tensor<3>, weight: &Param<Tensor<2>>) -> Tensor<3> {
    let [batch, count, inputs] = x.dims();
    let y = x.reshape([batch * count, inputs]).matmul(weight.val());
    let outputs = y.dims()[1];
    y.reshape([batch, count, outputs])
}
