//! gFID: how far generated pictures are from real ones, by features of the Inception network that the papers use.
//!
//! [`GfidSamples`] holds the features of generated pictures, [`GfidReference`] what is known of the real ones, and
//! [`measure_gfid`] compares them. [`gfid_of_paths`] does all three from files.
//!
//! | A path to samples or reference | Holds |
//! |---|---|
//! | a folder | PNG, JPEG or WebP pictures of one size, at any depth |
//! | `.npz` | `arr_0` `[pictures, height, width, 3]` of bytes, as ADM's scripts write them |
//! | `.npy` | the same array |
//!
//! A reference may also be an `.npz` of statistics: `mu` and `sigma`, with `mu_s` and `sigma_s` for sFID, and `arr_0` for
//! precision, recall and KID. ADM's `VIRTUAL_imagenet256_labeled.npz` has all of them.
//!
//! | Measure | As |
//! |---|---|
//! | FID, sFID | ADM's evaluator: 2048 pooled features, 7 × 17 × 17 features of `Mixed_6d`; no samples left out |
//! | Inception Score | ADM's evaluator: groups of 5000 in the order given, logits without bias |
//! | precision, recall | ADM's evaluator: third neighbour, squared distances, at most 10,000 pictures of the reference |
//! | KID | 100 subsets of 1000, or of half the smaller set |
//!
//! Pictures are decoded by batches. A sample takes 16 KB: 0.8 GB for 50,000. A reference takes the square of the features,
//! 70 MB, and 8 KB for each of at most 10,000 pictures, whatever its size.
mod cache;
mod content;
mod frechet;
mod interval;
mod law;
mod measure;
mod npz;
mod pictures;
mod reference;
mod report;
mod samples;

pub(super) use law::Law;
pub(super) use samples::finite as finite_features;

pub use measure::{GfidOptions, gfid_of_paths, measure_gfid};
pub use reference::GfidReference;
pub use report::{GfidFigure, GfidReport, ReferenceFacts};
pub use samples::GfidSamples;
