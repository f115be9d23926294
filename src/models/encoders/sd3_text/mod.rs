//! The condition of Stable Diffusion 3.5: texts of two encoders of CLIP side by side, then those of T5.
//!
//! ```text
//! context [154, 4096] = [ CLIP-L penultimate [77, 768] | CLIP-G penultimate [77, 1280] | 0 [77, 2048] ]
//!                       [ T5-XXL last [77, 4096], longer for a longer text                            ]
//! pooled  [2048]      = [ CLIP-L pooled [768] | CLIP-G pooled and projected [1280] ]
//! ```
//! As Stability's code computes it: no final norm on the states of CLIP, no mask anywhere, CLIP-L padded with the token that ends a
//! text, CLIP-G and T5 with token 0. No prompt at all is the text "". A prompt is plain text: `(red:1.3)` weighs nothing, and its
//! brackets are tokens (Stability's code ignores such weights too, but leaves the brackets out).
//!
//! [`SdTextEncoders`] takes tokens; `SdText`, with the feature `text`, takes prompts. [`TextEmbedding::write`] writes what
//! `data.kind = "latents"` reads.
mod embedding;
mod encoders;
mod files;
mod tokens;

#[cfg(feature = "text")]
mod prompts;
#[cfg(feature = "text")]
mod tokenizers;

pub use embedding::TextEmbedding;
pub use encoders::{SdTextEncoders, SdTextSizes};
pub use files::{SdTextConfig, T5Length};
pub use tokens::SdTokens;

#[cfg(feature = "text")]
pub use prompts::SdText;
#[cfg(feature = "text")]
pub use tokenizers::{ClipTokenizer, T5Tokenizer};
