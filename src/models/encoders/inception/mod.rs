//! The Inception v3 that FID is measured with: the graph of 2015-12-05, whose weights PyTorch ports carry unchanged.
//!
//! [`Inception::load`] reads `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid, the same file of torch-fidelity
//! (`weights-inception-2015-12-05-6726825d.pth`), or either saved as safetensors. torchvision's Inception v3 is another
//! network: its average pools count their padding, its last block has no max pool, and it knows 1000 classes instead of 1008.
//!
//! Sources: Szegedy et al. 2015 ([arXiv 1512.00567](https://arxiv.org/abs/1512.00567)) for the network; Heusel et al. 2017
//! ([arXiv 1706.08500](https://arxiv.org/abs/1706.08500)) for what is taken from it.
//! ```
//! use burn_mixflow::models::encoders::inception::InceptionConfig;
//! assert_eq!(InceptionConfig::default().parameter_count(), 23_885_486);
//! ```
mod config;
mod conv;
mod layers;
mod layout;
mod load;
mod network;
mod resize;

pub use config::InceptionConfig;
pub use network::{Inception, InceptionOutput};
pub use resize::FidConvention;
