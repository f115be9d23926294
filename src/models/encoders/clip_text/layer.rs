//! One layer: x += attention(LN(x)), then x += MLP(LN(x)).
use super::{ClipActivation, ClipTextConfig};
use crate::Result;
use crate::models::encoders::text_precision::in_f32;
use crate::models::encoders::text_weights::TextWeights;
use crate::models::layers::linear;
use crate::ops;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{FloatDType, Tensor, activation, module};

/// A layer norm with scale and shift, computed in f32 whatever the type of the weights.
#[derive(Module, Debug)]
pub(super) struct ClipNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl ClipNorm {
    /// The norm whose parameters are `name.weight` and `name.bias`.
    pub(super) fn made(name: &str, width: usize, epsilon: f64, weights: &mut TextWeights<'_>) -> Result<Self> {
        let weight = weights.vector(&format!("{name}.weight"), width, 1.0)?;
        Ok(Self { weight, bias: weights.vector(&format!("{name}.bias"), width, 0.0)?, epsilon })
    }

    /// Norms the last dimension of `x`.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let [weight, bias] = [&self.weight, &self.bias].map(|parameter| parameter.val().cast(FloatDType::F32));
        in_f32(x, |x| ops::affine_layer_norm(x, weight, bias, self.epsilon))
    }
}

/// A pre-norm transformer layer with causal attention.
#[derive(Module, Debug)]
pub(super) struct ClipLayer {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm1: ClipNorm,
    fc1: Linear,
    fc2: Linear,
    layer_norm2: ClipNorm,
    heads: usize,
    #[module(skip)]
    activation: ClipActivation,
}

impl ClipLayer {
    /// The layer whose parameters are `name.…`.
    pub(super) fn made(
        config: &ClipTextConfig,
        name: &str,
        weights: &mut TextWeights<'_>,
        deviation: f64,
    ) -> Result<Self> {
        let (width, hidden, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let mut layer = |rest: &str, sides| weights.linear(&format!("{name}.{rest}"), sides, deviation);
        Ok(Self {
            q_proj: layer("self_attn.q_proj", [width, width])?,
            k_proj: layer("self_attn.k_proj", [width, width])?,
            v_proj: layer("self_attn.v_proj", [width, width])?,
            out_proj: layer("self_attn.out_proj", [width, width])?,
            fc1: layer("mlp.fc1", [width, hidden])?,
            fc2: layer("mlp.fc2", [hidden, width])?,
            layer_norm1: ClipNorm::made(&format!("{name}.layer_norm1"), width, epsilon, weights)?,
            layer_norm2: ClipNorm::made(&format!("{name}.layer_norm2"), width, epsilon, weights)?,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
        })
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub(super) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = self.attention(self.layer_norm1.forward(tokens.clone())) + tokens;
        let hidden = linear(&self.fc1, self.layer_norm2.forward(tokens.clone()));
        let hidden = in_f32(
            hidden,
            match self.activation {
                ClipActivation::QuickGelu => quick_gelu,
                ClipActivation::Gelu => activation::gelu,
            },
        );
        linear(&self.fc2, hidden) + tokens
    }

    /// Attention of each token to itself and those before.
    fn attention(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let size = width / self.heads;
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|projection| {
            let heads: Tensor<4> = linear(projection, tokens.clone()).reshape([batch, count, self.heads, size]);
            heads.swap_dims(1, 2)
        });
        // The scale is the default, and is told since CubeCL then keeps to the type of the numbers instead of f16.
        let scale = Some(1.0 / (size as f64).sqrt());
        let options = AttentionModuleOptions { scale, is_causal: true, ..Default::default() };
        let mixed = module::attention(q, k, v, None, None, options);
        linear(&self.out_proj, mixed.swap_dims(1, 2).reshape([batch, count, width]))
    }
}

/// x σ(1.702 x), which is SiLU(1.702 x) / 1.702.
fn quick_gelu(x: Tensor<3>) -> Tensor<3> {
    const RATE: f64 = 1.702;
    ops::silu(x * RATE) * (1.0 / RATE)
}
