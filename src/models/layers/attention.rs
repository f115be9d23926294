//! Multi-head self-attention: softmax(q kᵀ / √d) v, with one projection for q, k and v, and optionally normed q and k.
use super::init::{LAYER_NORM_EPSILON, Law, WeightInit};
use super::linear;
use crate::ops;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{DType, Tensor};

/// Self-attention as timm's `Attention` lays it out: `qkv` is `[width, 3 width]`, ordered (q, k, v), then heads.
#[derive(Module, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    q_norm: Option<LayerNorm>,
    k_norm: Option<LayerNorm>,
    proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Attention over tokens of `width` with `heads` heads; `heads` divides `width`.
    pub fn new(width: usize, heads: usize, law: Law, init: &mut WeightInit) -> Self {
        let (qkv, proj) = (init.linear(width, 3 * width, law), init.linear(width, width, law));
        Self { qkv, q_norm: None, k_norm: None, proj, heads }
    }

    /// The same with a layer norm over the width of a head, with scale, shift and ε = 1e-5, on every q and every k.
    pub fn with_qk_norm(mut self, init: &WeightInit) -> Self {
        let width = self.proj.weight.dims()[0] / self.heads;
        self.q_norm = Some(init.layer_norm(width));
        self.k_norm = Some(init.layer_norm(width));
        self
    }

    /// Maps tokens `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let qkv = linear(&self.qkv, tokens).reshape([batch, count, 3, self.heads, width / self.heads]);
        let mixed = match (&self.q_norm, &self.k_norm) {
            (Some(q_norm), Some(k_norm)) => {
                let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2));
                let [q, k, v] = [normed(q_norm, q), normed(k_norm, k), v].map(|t| t.swap_dims(1, 2));
                ops::attention(q, k, v).swap_dims(1, 2).reshape([batch, count, width])
            }
            _ => ops::self_attention(qkv),
        };
        linear(&self.proj, mixed)
    }
}

/// The layer norm of every head, whose ε is that of [`WeightInit::layer_norm`].
fn normed(layer: &LayerNorm, heads: Tensor<4>) -> Tensor<4> {
    match &layer.beta {
        Some(beta) if heads.dtype() == DType::F32 => {
            ops::affine_layer_norm(heads, layer.gamma.val(), beta.val(), LAYER_NORM_EPSILON)
        }
        _ => layer.forward(heads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, SampleKey, normal};
    use burn::module::Param;
    use burn::tensor::Device;

    fn tokens(device: &Device) -> Tensor<3> {
        Tensor::from_data(normal(&SampleKey::batch(1, 0, 2), Purpose::Data, &[3, 8]), device)
    }

    fn layer(device: &Device) -> SelfAttention {
        let init = &mut WeightInit::new(4, device);
        SelfAttention::new(8, 2, Law::XavierUniform, init).with_qk_norm(init)
    }

    #[test]
    fn normed_queries_and_keys_have_no_scale() {
        let device = Device::flex();
        let tokens = tokens(&device);
        let plain = layer(&device);
        let mut scaled = plain.clone();
        scaled.qkv.weight =
            scaled.qkv.weight.map(|w| Tensor::cat(vec![w.clone().narrow(1, 0, 16) * 50.0, w.narrow(1, 16, 8)], 1));
        let difference = (plain.forward(tokens.clone()) - scaled.forward(tokens)).abs().max().into_scalar::<f32>();
        // ε = 1e-5 beside variances of about 1.
        assert!(difference < 1e-3, "{difference}");
    }

    #[test]
    fn gradients_of_the_norms_are_difference_quotients() {
        let device = Device::flex().autodiff();
        let tokens = tokens(&device);
        let loss = |layer: &SelfAttention| layer.forward(tokens.clone()).square().sum();
        let layer = layer(&device);
        let grads = loss(&layer).backward();
        for key in [false, true] {
            let norm = |layer: &SelfAttention| if key { layer.k_norm.clone() } else { layer.q_norm.clone() }.unwrap();
            let found = norm(&layer).gamma.val().grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
            for (i, found) in found.into_iter().enumerate() {
                let moved = |step: f32| {
                    let mut values = [1.0_f32; 4];
                    values[i] += step;
                    let mut norm = norm(&layer);
                    norm.gamma = Param::from_tensor(Tensor::from_floats(values, &device));
                    let mut layer = layer.clone();
                    if key {
                        layer.k_norm = Some(norm)
                    } else {
                        layer.q_norm = Some(norm)
                    }
                    loss(&layer).into_scalar::<f32>()
                };
                let quotient = (moved(0.01) - moved(-0.01)) / 0.02;
                assert!((quotient - found).abs() < 5e-3 * (1.0 + found.abs()), "{key} {i}: {found}, {quotient}");
            }
        }
    }
}
