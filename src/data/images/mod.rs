//! A folder of pictures of any size: centre crop to a square, resize, x = v / 127.5 − 1.
mod config;

pub use config::{ImageLabels, ImagesConfig};
