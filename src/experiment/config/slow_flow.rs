//! The section `slow_flow`: how Slow Flow is measured.
use super::{Definition, ExperimentConfig, add};
use crate::Problem;
use std::collections::BTreeSet;

impl ExperimentConfig {
    pub(super) fn slow_flow_problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = self.slow_flow.problems(path);
        let names: BTreeSet<_> = self.slow_flow.definitions.iter().copied().map(Definition::name).collect();
        if names.len() < self.slow_flow.definitions.len() {
            add(&mut problems, format!("{path}.definitions"), ": must not name one twice");
        }
        problems
    }
}
