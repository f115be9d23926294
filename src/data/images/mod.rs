//! A folder of pictures of any size: centre crop to a square, resize, x = v / 127.5 − 1.
//!
//! Every picture is decoded once, on all cores, into a file of bytes that later runs read instead. Sets that are too
//! large for such a file are decoded as they are asked for.
mod animation;
mod cache;
mod config;
mod decode;
mod jpeg;
mod labels;
mod source;

#[cfg(feature = "experiment")]
pub(crate) use decode::upright;

pub use config::{ImageLabels, ImagesConfig};

/// How far the pictures of a folder are decoded, or items are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Those that are done.
    pub done: usize,
    /// All of them.
    pub total: usize,
}
