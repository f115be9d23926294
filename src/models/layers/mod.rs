//! Layers that several models share.
mod attention;
mod embedding;
mod init;
mod linear;
mod parameters;
mod rms;

pub(crate) use attention::SelfAttention;
pub use embedding::{TimestepEmbedding, sinusoidal};
pub use init::{Law, WeightInit};
pub(crate) use linear::{linear, linear_gelu};
pub(crate) use parameters::{ParameterList, as_size, count, product};
pub(crate) use rms::Rms;
