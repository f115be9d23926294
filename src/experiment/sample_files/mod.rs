//! Generated pictures on disk, in the layouts that scorers read: written one by one, so that sampling may be interrupted.
//!
//! ```text
//! samples.json                                what the pictures are made of; no others are put among them
//! pictures/000000.png                         numbered: what Inception networks are shown
//! samples_50000x256x256x3.npz                 `arr_0` [n, height, width, 3] uint8: what ADM's evaluator reads
//! 00000/metadata.jsonl  00000/samples/0000.png                         GenEval
//! samples/a green bench and a blue bowl_000000.png                     T2I-CompBench
//! ```
//! Scorers take every file of these folders for a picture, so nothing else is in them.
mod folder;
mod layout;
mod npz;
#[cfg(test)]
mod tests;

pub(in crate::experiment) use layout::file_of;

pub use folder::SampleFolder;
pub use layout::SampleLayout;
