//! What is in a file, for people whose weights do not fit.
use crate::tensor_file::Stored;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// How many keys and names are told.
const TOLD: usize = 4;

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    tensors: usize,
    /// The first segments of names, and how many names begin so; those of most names first.
    keys: Vec<(String, usize)>,
    /// What all names begin with, to a dot.
    common: String,
    first: Vec<String>,
}

impl Contents {
    pub(super) fn of(stored: &Stored) -> Self {
        let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
        for name in stored.keys() {
            *keys.entry(name.split('.').next().unwrap_or_default()).or_insert(0) += 1;
        }
        let mut keys: Vec<(String, usize)> = keys.into_iter().map(|(key, count)| (key.to_string(), count)).collect();
        keys.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        // In the order of the alphabet, the first and the last name share what all share.
        let common = match (stored.keys().next(), stored.keys().next_back()) {
            (Some(first), Some(last)) if first != last => {
                let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
                let dot = first.as_bytes()[..same].iter().rposition(|byte| *byte == b'.');
                dot.map_or(String::new(), |dot| first[..=dot].to_string())
            }
            _ => String::new(),
        };
        Self { tensors: stored.len(), keys, common, first: stored.keys().take(TOLD).cloned().collect() }
    }
}

impl Display for Contents {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.tensors == 0 {
            return write!(f, "the file holds no tensor");
        }
        let shown = |keys: &[(String, usize)]| -> Vec<String> {
            keys.iter().take(TOLD).map(|(key, count)| format!("{count} under `{key}`")).collect()
        };
        write!(f, "the file holds {} tensors", self.tensors)?;
        if self.common.is_empty() {
            write!(f, ": {}", shown(&self.keys).join(", "))?;
            let more = self.keys.len().saturating_sub(TOLD);
            if more > 0 {
                write!(f, " and others under {more} more")?;
            }
        } else {
            write!(f, ", all names begin with `{}`", self.common)?;
        }
        let first: Vec<String> = self.first.iter().map(|name| format!("`{name}`")).collect();
        let more = if self.tensors > self.first.len() { ", …" } else { "" };
        write!(f, "; the first are {}{more}", first.join(", "))
    }
}
