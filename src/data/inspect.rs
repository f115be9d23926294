//! Everything opened once: what is there, how it is spread, and what is wrong with which file.
use super::verify::usable;
use super::{DataSet, DataSplit, Decoded};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Items read together.
const CHUNK: usize = 64;
/// Classes that are counted: their number is a key of the configuration, and may be anything.
const MOST_CLASSES: usize = 1 << 20;
/// Problems that are kept.
const MOST_PROBLEMS: usize = 20;

/// What was found in data. Of posteriors the mean is measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inspection {
    /// Items to train on.
    pub training: usize,
    /// Items held out.
    pub held_out: usize,
    /// `[C, H, W]` of one item.
    pub shape: [usize; 3],
    /// How many items are stored as what, for example `f32 [8, 32, 32]` or `jpeg`.
    pub stored: BTreeMap<String, usize>,
    /// The mean of all values that the network sees.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The least of them.
    pub least: f32,
    /// The largest of them.
    pub largest: f32,
    /// The item that holds the value farthest from 0.
    pub farthest: Option<String>,
    /// The mean standard deviation of the posteriors, where the files hold some.
    pub posterior_deviation: Option<f64>,
    /// The number of items of each class, in training and held out, of the first 1,048,576 classes; empty without classes.
    pub labels: Vec<ClassCount>,
    /// Items that cannot be used.
    pub unusable: usize,
    /// The first of them.
    pub problems: Vec<ItemProblem>,
    /// What a person should know of the files: what was detected, left out, constant.
    pub notes: Vec<String>,
}

/// How many items there are of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// To train on.
    pub training: usize,
    /// Held out.
    pub held_out: usize,
}

/// What is wrong with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemProblem {
    /// Its file, row or place.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
}

/// A streaming mean and variance: Chan, Golub and LeVeque (1983), DOI 10.1080/00031305.1983.10483115.
#[derive(Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, values: &[f32]) {
        let count = values.len() as f64;
        if values.is_empty() {
            return;
        }
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        let (total, shift) = (self.count + count, mean - self.mean);
        self.squares += squares + shift * shift * self.count * count / total;
        self.mean += shift * count / total;
        self.count = total;
    }
}

impl DataSplit {
    /// Reads every item of both sets. What is wrong with single items is in the result; sets without any usable item
    /// are not an error either.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a label is beyond the number of classes.
    pub fn inspect(&self) -> Result<Inspection> {
        self.inspect_with(None, &mut |_| ())
    }

    /// As [`inspect`](Self::inspect); `said` hears how far it is, and what was found is kept below `cache`, so that
    /// [`verify`](Self::verify) need not read the files again.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect).
    pub fn inspect_with(&self, cache: Option<&Path>, said: &mut dyn FnMut(Decoded)) -> Result<Inspection> {
        let mut found = Inspection {
            training: self.train.len(),
            held_out: self.held_out.len(),
            shape: self.shape,
            least: f32::INFINITY,
            largest: f32::NEG_INFINITY,
            labels: vec![ClassCount::default(); self.classes.min(MOST_CLASSES)],
            notes: self.notes.clone(),
            ..Inspection::default()
        };
        for (set, held_out) in [(&self.train, false), (&self.held_out, true)] {
            for label in set.labels().iter().filter(|_| self.classes > 0) {
                let beyond = || Error::Invalid(format!("label {label}: must be in 0..{}", self.classes));
                let place = usize::try_from(*label).ok().filter(|label| *label < self.classes).ok_or_else(beyond)?;
                let Some(count) = found.labels.get_mut(place) else { continue };
                *if held_out { &mut count.held_out } else { &mut count.training } += 1;
            }
        }
        let (mut values, mut deviations) = (Moments::default(), Moments::default());
        // As the files were before they were read.
        let unread = self.unread();
        let verdict = self.verdict_file(cache, &unread);
        let total = self.train.len() + self.held_out.len();
        for (set, before) in [(&self.train, 0), (&self.held_out, self.train.len())] {
            let mut said = |done| said(Decoded { done: before + done, total });
            found.read(set, &mut values, &mut deviations, &mut said);
        }
        if let Some(file) = verdict.filter(|_| !unread.is_empty() && found.problems.len() == found.unusable) {
            let bad = found.problems.iter().map(|problem| problem.name.clone()).collect();
            self.keep_verdict(&file, unread.len(), bad);
        }
        found.mean = values.mean;
        found.deviation = (values.squares / values.count.max(1.0)).sqrt();
        found.posterior_deviation = (deviations.count > 0.0).then_some(deviations.mean);
        Ok(found)
    }
}

impl Inspection {
    fn read(&mut self, set: &DataSet, values: &mut Moments, deviations: &mut Moments, said: &mut dyn FnMut(usize)) {
        for start in (0..set.len()).step_by(CHUNK) {
            said(start);
            let indices: Vec<usize> = (start..set.len().min(start + CHUNK)).collect();
            for (index, item) in indices.iter().copied().zip(set.each(&indices)) {
                match usable(item) {
                    Ok(item) => {
                        values.push(&item.data);
                        deviations.push(item.deviation.as_deref().unwrap_or_default());
                        let before = self.least.abs().max(self.largest.abs());
                        self.least = item.data.iter().copied().fold(self.least, f32::min);
                        self.largest = item.data.iter().copied().fold(self.largest, f32::max);
                        if self.farthest.is_none() || self.least.abs().max(self.largest.abs()) > before {
                            self.farthest = Some(set.name(index));
                        }
                        *self.stored.entry(set.stored(index)).or_insert(0) += 1;
                    }
                    Err(error) => self.wrong(set.name(index), error.to_string()),
                }
            }
        }
        said(set.len());
    }

    fn wrong(&mut self, name: String, message: String) {
        self.unusable += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(ItemProblem { name, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_counts_and_problems_of_both_sets() {
        let set = |values: Vec<f32>, labels: Vec<i64>| DataSet::from_memory([2, 1, 1], values, labels).unwrap();
        let train = set((0..300).map(|v| v as f32).collect(), (0..150).map(|i| i % 3).collect());
        let held_out = set(vec![f32::NAN, 1.0, 1e3, 1e3], vec![2, 2]);
        let mut split = DataSplit::new(train, held_out, 3);
        split.notes.push("a note".into());
        let found = split.inspect().unwrap();
        assert_eq!((found.training, found.held_out, found.shape), (150, 2, [2, 1, 1]));
        let all: Vec<f64> = (0..300).map(f64::from).chain([1e3, 1e3]).collect();
        let mean = all.iter().sum::<f64>() / 302.0;
        let deviation = (all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 302.0).sqrt();
        assert!((found.mean - mean).abs() < 1e-9 && (found.deviation - deviation).abs() < 1e-9, "{found:?}");
        assert_eq!((found.least, found.largest, found.posterior_deviation), (0.0, 1e3, None));
        assert_eq!(found.farthest.as_deref(), Some("item 2"));
        assert_eq!(found.labels[2], ClassCount { training: 50, held_out: 2 });
        assert_eq!((found.unusable, found.problems[0].name.as_str()), (1, "item 1"));
        assert_eq!((found.stored["in memory"], found.notes.len()), (151, 1));
        assert!(
            DataSplit { classes: 2, ..split }.inspect().unwrap_err().to_string().contains("label 2: must be in 0..2")
        );
    }
}
