//! The path by its name in the JSON.
use super::{Gvp, Linear, Path, Vp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which path relates noise and data: `"linear"`, `"gvp"` or `"vp"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathConfig {
    /// The straight path of rectified flow; what REPA, RAE and Stable Diffusion 3.5 use.
    #[default]
    Linear,
    /// SiT's generalised variance-preserving path.
    Gvp,
    /// SiT's variance-preserving diffusion path, β from 0.1 to 20.
    Vp,
}

impl PathConfig {
    /// The path.
    pub fn build(&self) -> Arc<dyn Path> {
        match self {
            Self::Linear => Arc::new(Linear),
            Self::Gvp => Arc::new(Gvp),
            Self::Vp => Arc::new(Vp::default()),
        }
    }
}
