//! The text encoders of CLIP (Radford et al. 2021, arXiv 2103.00020): a causal transformer over 77 tokens.
//!
//! Stable Diffusion 3.5 takes two things of each of its two: the hidden state that enters the last layer, not normed, and the
//! final, normed hidden state of the token that ends the text. That of CLIP-G is projected once more, that of CLIP-L is not.
//! ```
//! use burn_mixflow::models::encoders::clip_text::ClipTextConfig;
//! assert_eq!(ClipTextConfig::l().parameter_count(), 123_060_480);
//! assert_eq!(ClipTextConfig::g().parameter_count(), 694_659_840);
//! ```
mod config;
mod layer;
mod layout;
mod load;
mod model;
mod parameters;

pub use config::{ClipActivation, ClipTextConfig};
pub use model::{ClipText, ClipTextOutput};
