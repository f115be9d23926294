//! Data cut in two: what is trained on, and what is compared with.
use super::{DataSet, Scaling, TextItem};

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
    /// Of data that ship with the crate, what they are: their name, and what was asked of them.
    pub shipped: Option<String>,
}

/// An item of a split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    /// Its file, row or place.
    pub name: String,
    /// Whether it is held out.
    pub held_out: bool,
    /// Its index in its set.
    pub index: usize,
}

impl DataSplit {
    /// Two sets that the network sees as they are stored, without features and prompts.
    pub fn new(train: DataSet, held_out: DataSet, classes: usize) -> Self {
        let shape = train.shape();
        let scaling = Scaling::identity(shape);
        let (features, notes) = (Vec::new(), Vec::new());
        Self { train, held_out, shape, classes, features, null_text: None, scaling, notes, shipped: None }
    }

    /// How many items may be bad before that is an error: `max_bad_items` of the configuration.
    pub fn max_bad_items(&self) -> usize {
        self.train.bad().most()
    }

    /// The set that an item is in.
    pub(super) fn set(&self, item: &Placed) -> &DataSet {
        if item.held_out { &self.held_out } else { &self.train }
    }

    /// The items of both sets, sorted by their names.
    pub(super) fn by_name(&self) -> Vec<Placed> {
        let of = |set: &DataSet, held_out: bool| -> Vec<Placed> {
            (0..set.len()).map(|index| Placed { name: set.name(index), held_out, index }).collect()
        };
        let mut all = of(&self.train, false);
        all.extend(of(&self.held_out, true));
        all.sort_unstable();
        all
    }
}
