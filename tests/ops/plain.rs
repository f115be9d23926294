//! The formulas, out of Burn's operations.
use burn::tensor::{Tensor, activation};

pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let inner = (x.clone() + x.clone() * x.clone() * x.clone() * 0.044715) * (2.0 * 0.797_884_560_802_865_4);
    x * activation::sigmoid(inner)
}

pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x)
}

pub fn layer_norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + 1e-6).sqrt()
}

pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>) -> Tensor<D> {
    x.clone() / (x.square().mean_dim(D - 1) + 1e-6).sqrt() * weight.unsqueeze()
}

pub fn modulate<const D: usize>(x: Tensor<D>, shift: Tensor<D>, scale: Tensor<D>) -> Tensor<D> {
    x * (scale + 1.0) + shift
}

pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let scale = 1.0 / (q.dims()[3] as f64).sqrt();
    activation::softmax(q.matmul(k.transpose()) * scale, 3).matmul(v)
}

/// Queries, keys and values of `[batch, tokens, 3, heads, width]`, each `[batch, heads, tokens, width]`.
pub fn taken_apart(qkv: &Tensor<5>) -> [Tensor<4>; 3] {
    [0, 1, 2].map(|i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2))
}

pub fn self_attention(qkv: Tensor<5>) -> Tensor<3> {
    let [batch, tokens, _, heads, width] = qkv.dims();
    let [q, k, v] = taken_apart(&qkv);
    attention(q, k, v).swap_dims(1, 2).reshape([batch, tokens, heads * width])
}
