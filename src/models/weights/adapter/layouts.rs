//! What the layers of a network are called in files of adapters.
use crate::models::weights::KeyMap;

/// How the layers of a network are called.
#[derive(Clone, Copy)]
pub struct AdapterLayouts<'a> {
    /// From paths in the module to official names.
    pub names: KeyMap<'a>,
    /// What diffusers has in place of an official layer, where it has the network: several layers, each some of its rows.
    pub diffusers: &'a dyn Fn(&str) -> Option<Vec<Part>>,
}

/// A layer of diffusers, as rows of an official one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Which rows of `[outputs, inputs]` it has.
    pub rows: Rows,
}

/// Rows of a weight `[outputs, inputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All,
    /// The first, second or third third: q, k or v.
    Third(usize),
    /// All of them, the second half first: scale and shift where the official layer has shift and scale.
    HalvesSwapped,
}
