//! Every fifth training sample, apart from the others: something to choose by that leaves held-out data untouched.
//!
//! Compared with the very samples that it trains on, a model is praised for remembering them: a training that fits their chance
//! differences from the law comes out nearer than one that fits the law. So what a choice compares with must not be trained on.
//! Samples are taken by their place, so overlapping samples, as the photo patches, and copies are not kept apart, and the
//! order must have no period of five.
use super::DataSplit;
use crate::{Error, Result};

/// One sample in so many is set aside.
const EVERY: usize = 5;

impl DataSplit {
    /// The training set without every fifth sample, and those in place of the held-out ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than ten training samples.
    pub fn set_aside(&self) -> Result<Self> {
        let (count, least) = (self.train.len(), 2 * EVERY);
        if count < least {
            return Err(Error::Invalid(format!(
                "{count} training sample(s): to choose γ, there must be at least {least}"
            )));
        }
        let (aside, stay): (Vec<usize>, Vec<usize>) = (0..count).partition(|place| place.is_multiple_of(EVERY));
        Ok(Self { train: self.train.only(&stay), held_out: self.train.only(&aside), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;

    #[test]
    fn every_fifth_is_set_aside_and_nothing_is_lost() {
        let set = |values: std::ops::Range<i32>| {
            DataSet::from_memory([1, 1, 1], values.clone().map(|v| v as f32).collect(), values.map(i64::from).collect())
                .unwrap()
        };
        let split = DataSplit::new(set(0..11), set(90..93), 0);
        let cut = split.set_aside().unwrap();
        assert_eq!(cut.held_out.in_memory().unwrap(), [0.0, 5.0, 10.0]);
        assert_eq!(cut.held_out.labels(), [0, 5, 10]);
        assert_eq!(cut.train.in_memory().unwrap(), [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0]);
        let error = DataSplit { train: set(0..9), ..split }.set_aside().unwrap_err().to_string();
        assert!(error.contains("9 training sample(s)") && error.contains("at least 10"), "{error}");
    }
}
