//! What encoders make of pictures, in the folders that REPA's preprocessing writes and [`LatentsConfig`](super::LatentsConfig)
//! reads.
//!
//! ```text
//! encode.json                                 what the files are made of; nothing else goes on in this folder
//! images/00000/img00000000.png                [size, size, 3]: the picture, cropped
//! images/dataset.json                         as of the latents
//! vae-sd/00000/img-mean-std-00000000.npy      [2C, H, W] f32: mean, then standard deviation, neither scaled nor shifted
//! vae-sd/dataset.json                         {"labels":[["00000/img-mean-std-00000000.npy",6],…]}
//! latents/00000/img-latent-00000000.npy       [C, H, W] f32: what has no deviation, as RAE's
//! features/00000/img-feature-00000000.npy     [tokens, width] f32
//! text/00000/img-text-00000000.safetensors    `context` [tokens, width] and `pooled` [width]
//! text/null.safetensors                       the same of the empty prompt
//! skipped.json                                the pictures that could not be read, and why
//! ```
//! A file has the index of its picture in the sorted list of names, whether others can be read or not. The mirrored pictures
//! of [`Flips::Both`](super::to_encode::Flips::Both) come after all others: picture i of n has the files i and n + i. The folder of a
//! file is the first five of the eight digits of its index.
//!
//! Every file is written beside its place and renamed into it, so that it is there whole or not at all. What is there with
//! its whole length is not made again. `dataset.json` comes last.
mod content;
mod folder;
mod identity;
mod part;
#[cfg(test)]
mod tests;

pub use content::Encoded;
pub use folder::EncodedFolder;
pub use identity::EncodingIdentity;
pub use part::{EncodedPart, StoredFloats};
