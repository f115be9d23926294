//! Layers that several models share.
mod attention;
mod embedding;
mod image;
mod init;
mod linear;
mod parameters;
mod rms;

pub(crate) use attention::SelfAttention;
pub use embedding::{TimestepEmbedding, sinusoidal};
pub(crate) use image::{Window, conv2d, convolution, group_norm, group_norm_silu};
pub use init::{Law, WeightInit};
pub(crate) use linear::{linear, linear_gelu};
pub(crate) use parameters::{ParameterList, as_size, count, product};
pub(crate) use rms::Rms;
