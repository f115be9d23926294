//! Operations that walk memory once where Burn walks it many times, each with a backward pass of its own but where it says
//! "forward".
//!
//! | operation | formula |
//! |---|---|
//! | [`attention`](fn@attention), [`self_attention`] | softmax(q kᵀ / √d) v, without a matrix of weights in memory |
//! | [`modulate_norm`] | LN(x) (1 + scale) + shift |
//! | [`modulate`] | x (1 + scale) + shift |
//! | [`layer_norm`], [`affine_layer_norm`] | LN(x), LN(x) weight + bias |
//! | [`rms_norm`] | x / √(mean x² + ε) · weight |
//! | [`gated`] | residual + gate · x |
//! | [`linear`](fn@linear), [`linear_gelu`] | x W + b, GELU(x W + b) |
//! | [`gelu_tanh`] | x σ(2 √(2/π) (x + 0.044715 x³)) |
//! | [`gelu`] | x Φ(x), by the error function |
//! | [`conv2d`](fn@conv2d) | a 2D convolution, forward |
//! | [`group_norm`](fn@group_norm), [`group_norm_silu`] | GN(x) weight + bias, SiLU of it, forward |
//! | [`silu`](fn@silu), [`swiglu`](fn@swiglu) | x σ(x), SiLU(a) · b |
//! | [`rotate`](fn@rotate) | pairs (a cos − b sin, b cos + a sin) |
//! | [`AdamW`] | Burn's AdamW, to the last bit |
//! | [`averaged`] | (x − a) (1 − d) + a |
//! | [`sum_of_squares`] | Σ x² |
//! | [`times`](fn@times) | x · f |
//!
//! They work on `f32` on Burn's CPU backend, with autodiff or without, through Burn's backend extension. For other
//! types and on other backends, and for shapes that they do not know, the plain Burn formula runs; that is decided at
//! run time. Values and gradients of both agree to 1e-5.
//!
//! Two runs agree to the last bit whatever the number of threads: sums are cut at fixed places.
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use burn_mixflow::ops;
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<3>::random([2, 16, 24], Distribution::Normal(0.0, 1.0), &device).require_grad();
//! let [shift, scale] = [0.1, 0.5].map(|value| Tensor::<3>::full([2, 1, 24], value, &device));
//! let y = ops::gelu_tanh(ops::modulate_norm(x.clone(), shift, scale, 1e-6));
//! assert!(x.grad(&y.sum().backward()).is_some());
//! ```
mod adamw;
mod attention;
mod average;
mod conv2d;
mod gate;
mod gelu;
mod gelu_exact;
mod group_norm;
mod lanes;
mod linear;
mod norm;
mod pointwise;
mod product;
mod rotate;
mod scaled;
mod silu;
mod slices;
mod squares;
mod swiglu;
mod times;

pub use adamw::AdamW;
pub use attention::{attention, self_attention};
pub use average::averaged;
pub use conv2d::conv2d;
pub use gate::gated;
pub use gelu::gelu_tanh;
pub use gelu_exact::gelu;
pub use group_norm::{group_norm, group_norm_silu};
pub use linear::{linear, linear_gelu};
pub use norm::{affine_layer_norm, layer_norm, modulate, modulate_norm, rms_norm};
pub use rotate::rotate;
pub use silu::silu;
pub use squares::sum_of_squares;
pub use swiglu::swiglu;
pub use times::times;
