//! Autoencoders, image encoders and text encoders against the packages that the papers used.
//!
//! Weights and inputs are formulas of their names (`formula`). `tests/python/record_encoders` recorded the numbers.
#[path = "encoders/autoencoder_kl.rs"]
mod autoencoder_kl;
#[path = "encoders/clip_text.rs"]
mod clip_text;
mod device;
#[path = "encoders/dinov2.rs"]
mod dinov2;
mod formula;
#[path = "encoders/sd3_text.rs"]
mod sd3_text;
#[path = "encoders/t5.rs"]
mod t5;
#[path = "encoders/text_support.rs"]
mod text_support;
