//! Data cut in two: what is trained on, and what is compared with.
use super::{DataSet, Scaling, TextItem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A data set cut in two. A clone shares the items.
#[derive(Debug, Clone)]
pub struct DataSplit {
    /// What the network is trained on.
    pub train: DataSet,
    /// What it is compared with.
    pub held_out: DataSet,
    /// `[C, H, W]` of one item.
    pub shape: [usize; 3],
    /// Number of classes; 0 if the items have no labels.
    pub classes: usize,
    /// `[tokens, width]` of the features of each image encoder.
    pub features: Vec<[usize; 2]>,
    /// The empty prompt, where there are embedded prompts.
    pub null_text: Option<TextItem>,
    /// Between the numbers stored and those of the network.
    pub scaling: Scaling,
    /// What a person should know of the files: what was detected, left out, constant.
    pub notes: Vec<String>,
}

/// Which items there are, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemListing {
    /// Number of items to train on.
    pub training: usize,
    /// Number of items held out.
    pub held_out: usize,
    /// A hash of the names and labels of both, in order.
    pub hash: String,
}

impl DataSplit {
    /// Two sets that the network sees as they are stored, without features and prompts.
    pub fn new(train: DataSet, held_out: DataSet, classes: usize) -> Self {
        let shape = train.shape();
        let scaling = Scaling::identity(shape);
        Self { train, held_out, shape, classes, features: Vec::new(), null_text: None, scaling, notes: Vec::new() }
    }

    /// What the items of both sets are called and labelled, as a number of each and a hash: whoever goes on with a
    /// training compares it with that of its start.
    pub fn listing(&self) -> ItemListing {
        let mut hash = Sha256::new();
        for set in [&self.train, &self.held_out] {
            hash.update((set.len() as u64).to_le_bytes());
            for (index, label) in set.labels().iter().enumerate() {
                hash.update(format!("{}\0{label}\0", set.name(index)));
            }
        }
        let hash = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        ItemListing { training: self.train.len(), held_out: self.held_out.len(), hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_tells_sets_labels_and_numbers_apart() {
        let set = |count: usize, label: i64| {
            DataSet::from_memory([1, 1, 1], vec![0.0; count], vec![label; count]).expect("a set")
        };
        let listing = |train, held_out| DataSplit::new(train, held_out, 2).listing();
        let first = listing(set(3, 0), set(2, 0));
        assert_eq!((first.training, first.held_out), (3, 2));
        assert_eq!(first, listing(set(3, 0), set(2, 0)));
        for other in [listing(set(2, 0), set(3, 0)), listing(set(3, 0), set(2, 1)), listing(set(3, 1), set(2, 0))] {
            assert_ne!(first.hash, other.hash);
        }
    }
}
