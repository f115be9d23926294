//! What the table looks like.
use super::{Comparison, ComparisonResults};
use crate::Result;

impl Comparison {
    /// Draws curves and samples.
    pub(super) fn draw(&self, _results: &ComparisonResults) -> Result<()> {
        Ok(())
    }
}
