//! Layers that several models share.
mod activation;
mod attention;
mod embedding;
mod init;
mod norm;
mod parameters;
mod rms;

pub(crate) use activation::gelu_tanh;
pub(crate) use attention::SelfAttention;
pub use embedding::{TimestepEmbedding, sinusoidal};
pub use init::{Law, WeightInit};
pub(crate) use norm::{layer_norm, modulate};
pub(crate) use parameters::{ParameterList, as_size, count, product};
pub(crate) use rms::Rms;
