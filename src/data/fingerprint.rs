//! Which data a training belongs to, in few bytes: whoever goes on with it compares them with those of its start.
use super::split::Placed;
use super::{DataSplit, Decoded, contents};
use crate::{Result, digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;

/// What tells one listing of data from another. Equal for the same files in another folder, on another machine, with
/// other times, and listed in another order.
///
/// It covers how many items there are, their names, classes and split, and every byte of their files (of a table the
/// numbers, of shipped data their name and what the configuration asks of them).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFingerprint {
    /// Number of items, held-out ones included.
    pub items: usize,
    /// Number of those that are held out.
    pub held_out: usize,
    /// Number of classes; 0 without labels.
    pub classes: usize,
    /// A hash of the sorted names: 32 hexadecimal digits, as of all the others.
    pub names: String,
    /// A hash of the class of every name.
    pub labels: String,
    /// A hash of the names that are held out.
    pub split: String,
    /// A hash of what every name holds.
    pub contents: String,
}

impl DataFingerprint {
    /// 16 hexadecimal digits that stand for all of it: the beginning of a SHA-256 hash.
    pub fn hash(&self) -> String {
        let Self { items, held_out, classes, names, labels, split, contents } = self;
        let text = format!("{items} {held_out} {classes} {names} {labels} {split} {contents}");
        digest::hex(Sha256::digest(text), 8)
    }

    /// How data differ `now` from these, in words for a person: `24 items then, 12 now`; empty if they are the same.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let counts = [
            ("items", self.items, now.items),
            ("held-out items", self.held_out, now.held_out),
            ("classes", self.classes, now.classes),
        ];
        for (what, then, now) in counts {
            if then != now {
                found.push(format!("{then} {what} then, {now} now"));
            }
        }
        let renamed = self.names != now.names;
        if renamed {
            found.push("the names differ".into());
        }
        if self.labels != now.labels {
            found.push("the labels differ".into());
        }
        // Of other names, both differ in any case.
        if self.split != now.split && !renamed {
            found.push("other items are held out".into());
        }
        if self.contents != now.contents && !renamed {
            found.push("the contents differ: other bytes in a file, or other numbers in a table".into());
        }
        found
    }
}

/// `24 items, 4 of them held out, 10 classes`.
impl fmt::Display for DataFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items, {} of them held out", self.items, self.held_out)?;
        if self.classes > 0 { write!(f, ", {} classes", self.classes) } else { Ok(()) }
    }
}

impl DataSplit {
    /// What tells these data from others. Every file is read, which takes as long as reading does: the hash of what they
    /// hold is kept below `cache`, and files that have not changed since are not read again; `said` hears how far it is.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) naming a file that is not there or cannot be read, unless
    /// [`max_bad_items`](Self::max_bad_items) allows for some.
    pub fn fingerprint(&self, cache: Option<&Path>, said: &mut dyn FnMut(Decoded)) -> Result<DataFingerprint> {
        let [mut names, mut labels, mut split] = [(); 3].map(|()| Sha256::new());
        let all = self.by_name();
        for item in &all {
            let Placed { name, held_out, index } = item;
            let label = self.set(item).labels()[*index];
            names.update(format!("{name}\0"));
            labels.update(format!("{name}\0{label}\0"));
            split.update(if *held_out { format!("{name}\0") } else { String::new() });
        }
        let [names, labels, split] = [names, labels, split].map(|hash| digest::hex(hash.finalize(), 16));
        let (held_out, classes) = (self.held_out.len(), self.classes);
        let contents = contents::hash(self, &all, cache, said)?;
        let contents = match self.beside_items() {
            Some(beside) => digest::hex(Sha256::digest(format!("{contents} {beside}")), 16),
            None => contents,
        };
        Ok(DataFingerprint { items: all.len(), held_out, classes, names, labels, split, contents })
    }

    /// A hash of what files say of all items alike: statistics of latents, and the embedding of the empty text; none where
    /// there is neither.
    fn beside_items(&self) -> Option<String> {
        let mut hash = Sha256::new();
        let statistics = self.scaling.statistics();
        for numbers in statistics.iter().flatten() {
            numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
        }
        for array in self.null_text.iter().flat_map(|text| [&text.context, &text.pooled]) {
            array.values.iter().for_each(|number| hash.update(number.to_le_bytes()));
        }
        (statistics.is_some() || self.null_text.is_some()).then(|| digest::hex(hash.finalize(), 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;

    fn set(values: &[f32], labels: &[i64]) -> DataSet {
        DataSet::from_memory([1, 1, 1], values.to_vec(), labels.to_vec()).unwrap()
    }

    fn print(train: DataSet, held_out: DataSet) -> DataFingerprint {
        DataSplit::new(train, held_out, 2).fingerprint(None, &mut |_| ()).unwrap()
    }

    #[test]
    fn sets_labels_numbers_and_values_are_told_apart() {
        let three = || set(&[1.0, 2.0, 3.0], &[0, 0, 0]);
        let two = || set(&[1.0, 2.0], &[0, 0]);
        let first = print(three(), two());
        assert_eq!(first.to_string(), "5 items, 2 of them held out, 2 classes");
        assert_eq!((first.differences(&print(three(), two())), first.hash().len()), (vec![], 16));
        for (other, says) in [
            (print(two(), three()), vec!["2 held-out items then, 3 now", "other items are held out"]),
            (print(three(), set(&[1.0, 2.0], &[0, 1])), vec!["the labels differ"]),
            (print(three(), set(&[1.0, 2.5], &[0, 0])), vec!["the contents differ"]),
            (print(two(), two()), vec!["5 items then, 4 now", "the names differ", "the labels differ"]),
        ] {
            let found = first.differences(&other);
            assert_ne!(first.hash(), other.hash());
            assert!(says.iter().all(|says| found.iter().any(|line| line.starts_with(says))), "{found:?}");
        }
        let json = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<DataFingerprint>(&json).unwrap(), first);
        assert!(serde_json::from_str::<DataFingerprint>("{}").is_err());
    }

    #[test]
    fn shipped_data_are_known_by_their_name_and_what_was_asked_of_them() {
        let split = |shipped: &str| {
            let split = DataSplit::new(set(&[1.0], &[0]), set(&[2.0], &[0]), 0);
            DataSplit { shipped: Some(shipped.into()), ..split }.fingerprint(None, &mut |_| ()).unwrap()
        };
        assert_eq!(split("ring 1"), split("ring 1"));
        assert_ne!(split("ring 1").contents, split("ring 2").contents);
    }
}
