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
}

impl DataSplit {
    /// Two sets that the network sees as they are stored, without features and prompts.
    pub fn new(train: DataSet, held_out: DataSet, classes: usize) -> Self {
        let shape = train.shape();
        let scaling = Scaling::identity(shape);
        Self { train, held_out, shape, classes, features: Vec::new(), null_text: None, scaling }
    }
}
