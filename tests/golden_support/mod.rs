//! What the golden tests of every system share.
mod module;
mod replay;
mod shapes;

pub use module::{exported, gradients, init_and_import};
pub use replay::{Replay, without_key_bias};
pub use shapes::official_shapes;
