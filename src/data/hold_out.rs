//! Which items are held out: in each class, those whose names have the least hashes.
//!
//! A name decides for its item alone, so neither the order of a list nor a further file moves the others much, and no
//! class is left out of the comparison as it is by the tail of a sorted list.
use crate::{Error, Problem, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

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

impl std::fmt::Display for HeldOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            // `4.0` is no number of items, and must not look like one.
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

impl HeldOut {
    /// The violated condition, at `path.held_out`.
    pub(crate) fn problems(&self, path: &str) -> Vec<Problem> {
        let holds = match *self {
            Self::Count(count) => count >= 1,
            Self::Share(share) => share > 0.0 && share <= 0.5,
        };
        let must = "must be a share in (0, 0.5] or a whole number of items, at least 1";
        let mut problems = Vec::new();
        Problem::unless(&mut problems, holds, path, "held_out", self, must);
        problems
    }
}

/// The SHA-256 hash of `seed` and `name`.
fn hash(seed: u64, name: &str) -> [u8; 32] {
    Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(name).finalize().into()
}

/// Of every item whether it is chosen: in each class those with the least hashes of their names.
///
/// A share takes `round(share · n)` of the `n` items of a class; a count takes from each class in proportion. Of a
/// class of two or more at least one is chosen and at least one is not; a class of one is never chosen from.
pub(super) fn by_hash<S: AsRef<str>>(names: &[S], labels: &[i64], held_out: HeldOut, seed: u64) -> Vec<bool> {
    let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (place, label) in labels.iter().enumerate().take(names.len()) {
        classes.entry(*label).or_default().push(place);
    }
    let sizes: Vec<usize> = classes.values().map(Vec::len).collect();
    let mut chosen = vec![false; names.len()];
    for (places, count) in classes.values_mut().zip(counts(&sizes, held_out)) {
        places.sort_by_cached_key(|place| hash(seed, names[*place].as_ref()));
        places[..count].iter().for_each(|place| chosen[*place] = true);
    }
    chosen
}

/// How many are chosen of classes of these sizes.
fn counts(sizes: &[usize], held_out: HeldOut) -> Vec<usize> {
    let most = |size: usize| size.saturating_sub(1);
    let least = |size: usize| most(size).min(1);
    match held_out {
        HeldOut::Share(share) => {
            let count = |size: &usize| ((share * *size as f64).round() as usize).max(least(*size)).min(most(*size));
            sizes.iter().map(count).collect()
        }
        HeldOut::Count(total) => {
            let (all, total) = (sizes.iter().sum::<usize>() as u128, total as u128);
            // In proportion and rounded down, then one at a time to the class that lacks most.
            let share = |size: usize| (total * size as u128 / all.max(1)) as usize;
            let mut counts: Vec<usize> =
                sizes.iter().map(|size| share(*size).clamp(least(*size), most(*size))).collect();
            let lacks =
                |place: usize, count: usize| (total * sizes[place] as u128) as i128 - count as i128 * all as i128;
            while (counts.iter().sum::<usize>() as u128) < total {
                let open = (0..sizes.len()).filter(|place| counts[*place] < most(sizes[*place]));
                let Some(next) = open.max_by_key(|place| (lacks(*place, counts[*place]), std::cmp::Reverse(*place)))
                else {
                    break;
                };
                counts[next] += 1;
            }
            counts
        }
    }
}

/// Both parts by their places: those that stay and those that are held out, each in order; `file` holds the items.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) at `data.held_out` if nothing would be held out, or nothing left to train on.
pub(super) fn parts<S: AsRef<str>>(
    names: &[S],
    labels: &[i64],
    held_out: HeldOut,
    seed: u64,
    file: &Path,
) -> Result<[Vec<usize>; 2]> {
    let path = "data";
    let (all, count) = (names.len(), if let HeldOut::Count(count) = held_out { count } else { 0 });
    let mut problems = Vec::new();
    let file = file.display();
    let must = format!("must leave some of the {all} items for training: those of {file}");
    Problem::unless(&mut problems, count < all, path, "held_out", count, must);
    Error::if_any(problems)?;
    let marks = by_hash(names, labels, held_out, seed);
    let (out, stay): (Vec<usize>, Vec<usize>) = (0..all).partition(|place| marks[*place]);
    let mut problems = Vec::new();
    let must = format!(
        "holds nothing out: no class of the {all} items has two; leave the labels out, or give each class more: there are \
         only those of {file}"
    );
    Problem::unless(&mut problems, !out.is_empty(), path, "held_out", held_out, must);
    Error::if_any(problems)?;
    Ok([stay, out])
}

/// As [`parts`], of items that share names: those of one name are held out together. A number counts items.
///
/// # Errors
/// As [`parts`].
pub(super) fn parts_together<S: AsRef<str>>(
    names: &[S],
    labels: &[i64],
    held_out: HeldOut,
    seed: u64,
    file: &Path,
) -> Result<[Vec<usize>; 2]> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut distinct, mut labels_of) = (Vec::new(), Vec::new());
    let mut groups = Vec::with_capacity(names.len());
    for (name, label) in names.iter().zip(labels) {
        groups.push(*known.entry(name.as_ref()).or_insert_with(|| {
            distinct.push(name.as_ref());
            labels_of.push(*label);
            distinct.len() - 1
        }));
    }
    let held_out = match held_out {
        HeldOut::Count(count) => {
            let share = (count as u128 * distinct.len() as u128).div_ceil(groups.len().max(1) as u128);
            HeldOut::Count(share as usize)
        }
        share => share,
    };
    let [_, out] = parts(&distinct, &labels_of, held_out, seed, file)?;
    let (out, stay) = (0..groups.len()).partition(|place| out.binary_search(&groups[*place]).is_ok());
    Ok([stay, out])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gives_its_share_whatever_the_order() {
        let names: Vec<String> = (0..100).map(|i| format!("item-{i}")).collect();
        let labels: Vec<i64> = (0..100).map(|i| i64::from(i >= 80) + i64::from(i == 99)).collect();
        let chosen = |names: &[String], labels: &[i64]| -> Vec<String> {
            let marks = by_hash(names, labels, HeldOut::Share(0.1), 7);
            let mut chosen: Vec<String> = names.iter().zip(marks).filter(|(_, m)| *m).map(|(n, _)| n.clone()).collect();
            chosen.sort();
            chosen
        };
        let first = chosen(&names, &labels);
        // 8 of 80, 2 of 19, and none of the class of one, which would leave nothing to train on.
        assert_eq!(first.len(), 10);
        let (back, reversed): (Vec<String>, Vec<i64>) = names.iter().cloned().zip(labels.clone()).rev().unzip();
        assert_eq!(chosen(&back, &reversed), first);
        let share = HeldOut::Share(0.1);
        assert_ne!(by_hash(&names, &labels, share, 8), by_hash(&names, &labels, share, 7));
    }

    #[test]
    fn small_classes_are_represented_and_never_emptied() {
        use HeldOut::{Count, Share};
        assert_eq!(counts(&[1, 2, 3, 10], Share(0.5)), [0, 1, 2, 5]);
        assert_eq!(counts(&[1, 2, 100], Share(0.01)), [0, 1, 1]);
        assert_eq!(counts(&[6; 4], Count(4)), [1; 4]);
        assert_eq!(counts(&[50, 30, 20], Count(10)), [5, 3, 2]);
        assert_eq!(counts(&[50, 30, 21], Count(11)), [6, 3, 2]);
        assert_eq!(counts(&[1, 2, 97], Count(50)), [0, 1, 49]);
        assert_eq!(counts(&[3, 3], Count(5)), [2, 2]);
        // One of each class, though fewer are asked for.
        assert_eq!(counts(&[2; 10], Count(4)), [1; 10]);
        assert_eq!(counts(&[usize::MAX / 2, 2], Count(usize::MAX / 2)), [usize::MAX / 2 - 1, 1]);
    }

    #[test]
    fn json_takes_a_share_or_a_number() {
        let read = |text: &str| serde_json::from_str::<HeldOut>(text);
        assert_eq!((read("4").unwrap(), read("0.25").unwrap()), (HeldOut::Count(4), HeldOut::Share(0.25)));
        assert_eq!(serde_json::to_string(&[HeldOut::Count(4), HeldOut::Share(0.25)]).unwrap(), "[4,0.25]");
        assert!(read("\"4\"").unwrap_err().to_string().contains("must be a share in (0, 0.5]"));
        for (bad, shown) in [("0", "0"), ("-1", "-1.0"), ("0.6", "0.6"), ("4.0", "4.0")] {
            let problems = read(bad).unwrap().problems("data");
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(problems[0].to_string().starts_with(&format!("data.held_out = {shown}: must be")), "{problems:?}");
        }
    }

    #[test]
    fn items_of_one_name_go_the_same_way() {
        let names: Vec<String> = (0..40).map(|i| format!("item-{}", i % 20)).collect();
        let labels: Vec<i64> = (0..40).map(|i| i64::from(i % 20 >= 10)).collect();
        let file = Path::new("a");
        for held_out in [HeldOut::Share(0.2), HeldOut::Count(8)] {
            let [stay, out] = parts_together(&names, &labels, held_out, 3, file).unwrap();
            assert_eq!((stay.len(), out.len()), (32, 8));
            assert!(out.iter().all(|place| out.contains(&((place + 20) % 40))), "{out:?}");
            let [_, alone] = parts(&names[..20], &labels[..20], HeldOut::Share(0.2), 3, file).unwrap();
            assert_eq!(out[..4], alone);
        }
        let all = parts_together(&names, &labels, HeldOut::Count(40), 3, file);
        assert!(all.unwrap_err().to_string().contains("held_out"));
    }

    #[test]
    fn nothing_left_or_nothing_held_out_is_an_error() {
        let parts = |n: usize, labels: &[i64], held_out| {
            let names: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            parts(&names, labels, held_out, 0, Path::new("a.csv")).map_err(|e| e.to_string())
        };
        assert!(
            parts(4, &[0; 4], HeldOut::Count(4))
                .unwrap_err()
                .contains("some of the 4 items for training: those of a.csv")
        );
        assert!(parts(3, &[0, 1, 2], HeldOut::Share(0.3)).unwrap_err().contains("no class of the 3 items has two"));
        let [stay, out] = parts(4, &[0; 4], HeldOut::Share(0.25)).unwrap();
        assert_eq!((stay.len(), out.len()), (3, 1));
    }
}
