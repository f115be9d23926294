//! Items in memory.
use super::Item;
use super::set::{DataSet, Source, Unit};
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// Values of one shape, one item after the other.
#[derive(Debug)]
pub(super) struct Memory {
    size: usize,
    values: Vec<f32>,
    labels: Vec<i64>,
    /// The number of each item, by which its name is known.
    numbers: Vec<usize>,
    names: Arc<dyn Names>,
}

/// What items are called, by their number.
pub(super) trait Names: std::fmt::Debug + Send + Sync {
    /// What a person calls the item.
    fn name(&self, number: usize) -> String;

    /// What it is stored as.
    fn stored(&self, _number: usize) -> String {
        "in memory".into()
    }

    /// The file that it is made of; none where there is no file for each.
    fn files(&self, _number: usize) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What it shares with other items.
    fn units(&self, number: usize) -> Vec<Unit> {
        vec![Unit { name: self.name(number), stratum: None }]
    }
}

/// `{what} {number + 1}`.
#[derive(Debug)]
pub(super) struct Numbered(pub &'static str);

impl Names for Numbered {
    fn name(&self, number: usize) -> String {
        format!("{} {}", self.0, number + 1)
    }
}

impl Names for Vec<String> {
    fn name(&self, number: usize) -> String {
        self[number].clone()
    }
}

impl DataSet {
    /// Items of `shape = [C, H, W]`, one after the other in `values`, one per label.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a side of `shape` is 0 or `values` does not hold one item per label.
    pub fn from_memory(shape: [usize; 3], values: Vec<f32>, labels: Vec<i64>) -> Result<Self> {
        let numbers = (0..labels.len()).collect();
        Self::named(shape, values, labels, numbers, Arc::new(Numbered("item")))
    }

    /// As [`from_memory`](Self::from_memory), with one number per item by which `names` knows it.
    pub(super) fn named(
        shape: [usize; 3],
        values: Vec<f32>,
        labels: Vec<i64>,
        numbers: Vec<usize>,
        names: Arc<dyn Names>,
    ) -> Result<Self> {
        let size: usize = shape.iter().product();
        if size == 0 || values.len() != size * labels.len() {
            let (values, items) = (values.len(), labels.len());
            return Err(Error::Invalid(format!("{values} values are not {items} items of shape {shape:?}")));
        }
        let source = Memory { size, values, labels: labels.clone(), numbers, names };
        Ok(Self::new(Arc::new(source), shape, labels))
    }
}

impl Source for Memory {
    fn read(&self, place: usize) -> Result<Item> {
        let data = self.values[place * self.size..][..self.size].to_vec();
        Ok(Item { data, label: self.labels[place], ..Item::default() })
    }

    fn name(&self, place: usize) -> String {
        self.names.name(self.numbers[place])
    }

    fn stored(&self, place: usize) -> Result<String> {
        Ok(self.names.stored(self.numbers[place]))
    }

    fn files(&self, place: usize) -> Vec<PathBuf> {
        self.names.files(self.numbers[place])
    }

    fn units(&self, place: usize) -> Vec<Unit> {
        self.names.units(self.numbers[place])
    }

    fn values(&self) -> Option<&[f32]> {
        Some(&self.values)
    }

    fn only(&self, places: &[usize]) -> Option<Arc<dyn Source>> {
        let values = places.iter().flat_map(|place| &self.values[place * self.size..][..self.size]);
        Some(Arc::new(Self {
            size: self.size,
            values: values.copied().collect(),
            labels: places.iter().map(|place| self.labels[*place]).collect(),
            numbers: places.iter().map(|place| self.numbers[*place]).collect(),
            names: self.names.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    #[test]
    fn items_are_consecutive_slices_and_clones_share_them() {
        let set = DataSet::from_memory([1, 1, 2], vec![1., 2., 3., 4.], vec![7, 8]).unwrap();
        assert_eq!(set.get(1).unwrap(), Item { data: vec![3., 4.], label: 8, ..Item::default() });
        assert_eq!((set.len(), set.name(1)), (2, "item 2".to_string()));
        assert!(std::ptr::eq(set.clone().in_memory().unwrap(), set.in_memory().unwrap()));
        let second = set.only(&[1]);
        assert_eq!(
            (second.in_memory().unwrap(), second.labels(), second.name(0)),
            ([3., 4.].as_slice(), [8].as_slice(), "item 2".into())
        );
        assert_eq!(set.values(&[1, 0, 1]).unwrap(), [3., 4., 1., 2., 3., 4.]);
        assert_eq!(set.values(&[2]).unwrap_err().to_string(), "item 2: must be below 2");
    }

    #[test]
    fn a_wrong_number_of_values_is_an_error() {
        assert!(DataSet::from_memory([1, 2, 2], vec![0.; 7], vec![0; 2]).is_err());
        assert!(DataSet::from_memory([1, 0, 2], vec![], vec![0; 2]).is_err());
    }
}
