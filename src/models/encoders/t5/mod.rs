//! The encoder of T5 v1.1 (Raffel et al. 2020, arXiv 1910.10683; Shazeer 2020, arXiv 2002.05202): a transformer whose attention
//! knows positions by a learned bias of their distance.
//!
//! Stable Diffusion 3.5 takes its last hidden state, after the final norm, of every token.
//! ```
//! use burn_mixflow::models::encoders::t5::T5EncoderConfig;
//! assert_eq!(T5EncoderConfig::xxl().parameter_count(), 4_762_310_656);
//! ```
mod block;
mod config;
mod distance;
mod encoder;
mod load;
mod parameters;

pub use config::T5EncoderConfig;
pub use encoder::T5Encoder;
