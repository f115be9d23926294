//! A fifth of the training items, apart from the others: something to choose by that leaves held-out data untouched.
//!
//! Compared with the very items that it trains on, a model is praised for remembering them: a training that fits their
//! chance differences from the law comes out nearer than one that fits the law. So what a choice compares with must not
//! be trained on. A hash of its name decides for each item, in every class, as for held-out items. Patches of a photo
//! overlap: there a fifth of the cells of each photo is set aside, a patch goes where all its cells go, and one that
//! lies across the border is in neither set.
use super::set::Unit;
use super::{DataSplit, HeldOut, evenly, hold_out};
use crate::{Error, Result};
use std::collections::HashMap;

/// The share that is set aside.
const SHARE: f64 = 0.2;

/// So that what is set aside is not what another seed would have held out.
const SEED: u64 = u64::MAX;

/// Training items that a choice without training compares with, at most.
const MOST: usize = 10_000;

/// The least number of items that can be divided.
const LEAST: usize = 10;

impl DataSplit {
    /// The training set without a fifth of it, and that fifth in place of the held-out items.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than ten training items, or if none could be set aside.
    pub fn set_aside(&self) -> Result<Self> {
        let count = self.train.len();
        if count < LEAST {
            return Err(Error::Invalid(format!(
                "{count} training item(s): to choose γ, there must be at least {LEAST}"
            )));
        }
        let [stay, aside] = self.places();
        if stay.is_empty() || aside.is_empty() {
            let (stay, aside) = (stay.len(), aside.len());
            return Err(Error::Invalid(format!(
                "of {count} training items {aside} would be set aside and {stay} stay: to choose γ, there must be more"
            )));
        }
        let held_out = self.train.only(&aside).with_mirror(false);
        Ok(Self { train: self.train.only(&stay), held_out, ..self.clone() })
    }

    /// The training items, evenly chosen where they are many, in place of the held-out ones: more to choose by than a fifth
    /// of them, for choices that train nothing.
    pub fn beside_itself(&self) -> Self {
        let held_out = self.train.only(&evenly(self.train.len(), MOST)).with_mirror(false);
        Self { held_out, ..self.clone() }
    }

    /// Of the training items, those that stay and those that are set aside.
    fn places(&self) -> [Vec<usize>; 2] {
        let (mut names, mut strata, mut known) = (Vec::new(), Vec::new(), HashMap::new());
        let units: Vec<Vec<usize>> = (0..self.train.len())
            .map(|place| {
                let label = self.train.labels()[place];
                let mut number = |Unit { name, stratum }: Unit| {
                    *known.entry(name.clone()).or_insert_with(|| {
                        names.push(name);
                        strata.push(stratum.unwrap_or(label));
                        names.len() - 1
                    })
                };
                self.train.units(place).into_iter().map(&mut number).collect()
            })
            .collect();
        let marks = hold_out::by_hash(&names, &strata, HeldOut::Share(SHARE), SEED);
        let all = |wanted: bool| {
            let fits = |place: &usize| units[*place].iter().all(|unit| marks[*unit] == wanted);
            (0..units.len()).filter(fits).collect()
        };
        [all(false), all(true)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;

    fn set(count: usize, label: impl Fn(usize) -> i64) -> DataSet {
        let labels = (0..count).map(label).collect();
        DataSet::from_memory([1, 1, 1], (0..count).map(|v| v as f32).collect(), labels).unwrap()
    }

    #[test]
    fn a_fifth_of_every_class_is_set_aside_and_nothing_is_lost() {
        let split = DataSplit::new(set(100, |i| (i / 70) as i64), set(3, |_| 0), 2);
        let cut = split.set_aside().unwrap();
        let values = |set: &DataSet| set.in_memory().unwrap().to_vec();
        let mut all = [values(&cut.train), values(&cut.held_out)].concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, values(&split.train));
        let count = |label| cut.held_out.labels().iter().filter(|l| **l == label).count();
        assert_eq!([count(0), count(1)], [14, 6]);
        // Not a lattice of places, which a sorted list could share.
        let places = values(&cut.held_out);
        assert!(places.windows(2).any(|pair| pair[1] - pair[0] != places[1] - places[0]), "{places:?}");
        assert_eq!(values(&split.set_aside().unwrap().train), values(&cut.train));
    }

    #[test]
    fn beside_itself_are_the_training_items_evenly_chosen() {
        let split = |count| DataSplit::new(set(count, |_| 0), set(3, |_| 0), 1).beside_itself();
        let few = split(30);
        assert_eq!(few.held_out.in_memory().unwrap(), few.train.in_memory().unwrap());
        let many = split(25_000);
        let values = many.held_out.in_memory().unwrap().to_vec();
        assert_eq!((many.train.len(), values.len()), (25_000, MOST));
        assert!(values.windows(2).all(|pair| (2.0..=3.0).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn too_few_items_are_an_error() {
        let split = |count, label: fn(usize) -> i64| DataSplit::new(set(count, label), set(3, |_| 0), 0);
        let error = split(9, |_| 0).set_aside().unwrap_err().to_string();
        assert!(error.contains("9 training item(s)") && error.contains("at least 10"), "{error}");
        let error = split(12, |i| i as i64).set_aside().unwrap_err().to_string();
        assert!(error.contains("of 12 training items 0 would be set aside"), "{error}");
    }
}
