//! Layers that several models share.
pub mod activation;
pub mod attention;
pub mod embedding;
pub mod init;
pub mod norm;
mod parameters;
pub mod rms;

pub use activation::gelu_tanh;
pub use attention::SelfAttention;
pub use embedding::{TimestepEmbedding, sinusoidal};
pub use init::{Law, WeightInit};
pub use norm::{layer_norm, modulate};
pub(crate) use parameters::ParameterList;
pub use rms::Rms;
