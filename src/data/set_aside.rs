//! Every fifth training sample, apart from the others: something to choose by that leaves held-out data untouched.
//!
//! Compared with the very samples that it trains on, a model is praised for remembering them: a training that fits their chance
//! differences from the law comes out nearer than one that fits the law. So what a choice compares with must not be trained on.
//! Samples are taken by their place, so overlapping samples, as the photo patches, and copies are not kept apart, and the
//! order must have no period of five.
use super::{DataSplit, ImageSet, LatentSplit};
use crate::{Error, Result};

/// One sample in so many is set aside.
const EVERY: usize = 5;

/// The places of the samples that stay, and of those that are set aside.
fn places(count: usize) -> Result<[Vec<usize>; 2]> {
    if count < 2 * EVERY {
        let least = 2 * EVERY;
        return Err(Error::Invalid(format!("{count} training sample(s): to choose γ, there must be at least {least}")));
    }
    let (aside, stay) = (0..count).partition(|place| place.is_multiple_of(EVERY));
    Ok([stay, aside])
}

impl DataSplit {
    /// The training set without every fifth sample, and those in place of the held-out ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than ten training samples.
    pub fn set_aside(&self) -> Result<Self> {
        let train = &self.train;
        let size: usize = self.shape.iter().product();
        let part = |places: Vec<usize>| {
            let pixels = places.iter().flat_map(|i| &train.pixels()[i * size..(i + 1) * size]).copied().collect();
            ImageSet::new(self.shape, pixels, places.iter().map(|i| train.labels()[*i]).collect())
        };
        let [stay, aside] = places(train.labels().len())?;
        Ok(Self { train: part(stay)?, held_out: part(aside)?, ..self.clone() })
    }
}

impl LatentSplit {
    /// As [`DataSplit::set_aside`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than ten training latents.
    pub fn set_aside(&self) -> Result<Self> {
        let [stay, aside] = places(self.train.labels().len())?;
        Ok(Self { train: self.train.only(&stay), held_out: self.train.only(&aside), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fifth_is_set_aside_and_nothing_is_lost() {
        let set = |values: std::ops::Range<i32>| {
            ImageSet::new([1, 1, 1], values.clone().map(|v| v as f32).collect(), values.map(i64::from).collect())
                .unwrap()
        };
        let split = DataSplit { train: set(0..11), held_out: set(90..93), shape: [1, 1, 1], classes: 0 };
        let cut = split.set_aside().unwrap();
        assert_eq!(cut.held_out.pixels(), [0.0, 5.0, 10.0]);
        assert_eq!(cut.held_out.labels(), [0, 5, 10]);
        assert_eq!(cut.train.pixels(), [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0]);
        let error = DataSplit { train: set(0..9), ..split }.set_aside().unwrap_err().to_string();
        assert!(error.contains("9 training sample(s)") && error.contains("at least 10"), "{error}");
    }
}
