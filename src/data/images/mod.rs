//! A folder of pictures of any size: centre crop to a square, resize, x = v / 127.5 − 1.
//!
//! Every picture is decoded once, on all cores, into a file of bytes that later runs read instead. Sets that are too
//! large for such a file are decoded as they are asked for.
mod adm_crop;
mod animation;
mod cache;
mod config;
mod decode;
mod jpeg;
pub(in crate::data) mod labels;
mod pillow;
mod source;

pub(in crate::data) use adm_crop::central_square;
pub(in crate::data) use decode::as_stored;
pub(crate) use decode::upright;
pub(in crate::data) use source::FOREIGN;

pub use adm_crop::adm_crop;
pub use config::{ImageLabels, ImagesConfig};

/// How far the pictures of a folder are decoded, or items are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Those that are done.
    pub done: usize,
    /// All of them.
    pub total: usize,
}
