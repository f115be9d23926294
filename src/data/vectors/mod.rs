//! A table of numbers, one vector `[D, 1, 1]` a row: x = scale · (v − mean)/deviation of each column.
mod config;
mod scale;
mod table;

pub use config::VectorsConfig;
pub(in crate::data) use table::separator;
