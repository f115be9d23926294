//! The exponential moving average of a network: [`Ema`] for a loop of one's own, and the operations it is made of.
//!
//! The average is held in the type of the network: keep that f32, since in bf16 an update with d = 0.9999 is rounded away.
mod average;
mod config;
mod follow;

pub use average::Ema;
pub use config::EmaConfig;
pub use follow::{distance, load, start, update};
