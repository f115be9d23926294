//! Which items are held out: in each class, those whose names have the least hashes.
//!
//! A name decides for its item alone, so neither the order of a list nor a further file moves the others much, and no
//! class is left out of the comparison as it is by the tail of a sorted list.
use crate::Problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How many items are held out: a share in (0, 0.5], or a number, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "must be a share in (0, 0.5] or a whole number of items")]
pub enum HeldOut {
    /// So many items together, as many of each class as its share of all.
    Count(#[cfg_attr(feature = "schema", schemars(range(min = 1)))] usize),
    /// This share of the items of each class.
    Share(#[cfg_attr(feature = "schema", schemars(range(max = 0.5)))] f64),
}

impl HeldOut {
    /// The violated condition, at `path.held_out`.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let (holds, value) = match *self {
            Self::Count(count) => (count >= 1, count.to_string()),
            Self::Share(share) => (share > 0.0 && share <= 0.5, share.to_string()),
        };
        let must = "must be a share in (0, 0.5] or a whole number of items, at least 1";
        let mut problems = Vec::new();
        Problem::unless(&mut problems, holds, path, "held_out", value, must);
        problems
    }
}

/// The SHA-256 hash of `seed` and `name`.
fn hash(seed: u64, name: &str) -> [u8; 32] {
    Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(name).finalize().into()
}

/// Of every item whether it is held out: `round(fraction · n)` of the `n` of each class, at least one of two or more
/// where the fraction is above 0, and never all of them.
pub(super) fn by_hash<S: AsRef<str>>(names: &[S], labels: &[i64], fraction: f64, seed: u64) -> Vec<bool> {
    let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (place, label) in labels.iter().enumerate().take(names.len()) {
        classes.entry(*label).or_default().push(place);
    }
    let mut held_out = vec![false; names.len()];
    for places in classes.values_mut() {
        let count = (fraction * places.len() as f64).round() as usize;
        let least = usize::from(fraction > 0.0 && places.len() > 1);
        places.sort_by_cached_key(|place| hash(seed, names[*place].as_ref()));
        let count = count.max(least).min(places.len().saturating_sub(1));
        places[..count].iter().for_each(|place| held_out[*place] = true);
    }
    held_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gives_its_share_whatever_the_order() {
        let names: Vec<String> = (0..100).map(|i| format!("item-{i}")).collect();
        let labels: Vec<i64> = (0..100).map(|i| i64::from(i >= 80) + i64::from(i == 99)).collect();
        let chosen = |names: &[String], labels: &[i64]| -> Vec<String> {
            let marks = by_hash(names, labels, 0.1, 7);
            let mut chosen: Vec<String> = names.iter().zip(marks).filter(|(_, m)| *m).map(|(n, _)| n.clone()).collect();
            chosen.sort();
            chosen
        };
        let first = chosen(&names, &labels);
        // 8 of 80, 2 of 19, and none of the class of one, which would leave nothing to train on.
        assert_eq!(first.len(), 10);
        let (back, reversed): (Vec<String>, Vec<i64>) = names.iter().cloned().zip(labels.clone()).rev().unzip();
        assert_eq!(chosen(&back, &reversed), first);
        assert_ne!(by_hash(&names, &labels, 0.1, 8), by_hash(&names, &labels, 0.1, 7));
    }

    #[test]
    fn small_classes_are_represented_and_never_emptied() {
        let count = |n: usize, fraction| {
            let names: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            by_hash(&names, &vec![0; n], fraction, 0).into_iter().filter(|held_out| *held_out).count()
        };
        assert_eq!([count(1, 0.5), count(2, 0.01), count(3, 1.0), count(10, 0.0)], [0, 1, 2, 0]);
    }
}
