//! Adapters in files, under the names that PEFT and diffusers read.
//!
//! PyTorch holds W as `[outputs, inputs]`, and so A there is `[r, inputs]` and B `[outputs, r]`: W + (α/r) · B A.
mod export;
mod import;
mod layouts;

pub use export::export_adapter;
#[cfg(feature = "experiment")]
pub(crate) use import::adapter_files;
pub use import::add_adapter;
pub use layouts::{AdapterLayouts, Part, Rows};

#[cfg(test)]
mod tests;
