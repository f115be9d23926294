//! What was measured between two sets of samples, for programs and for people.
use super::{MeasureOptions, SampleForm, SampleSet, ValueConvention};
use crate::experiment::statistics::number;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Which values of a measure are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// 0 is the least, or nearly.
    Lower,
    /// 1 is the most.
    Higher,
}

/// One of the two sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredSet {
    /// Where it was read from.
    pub path: PathBuf,
    /// How many samples it holds.
    pub samples: usize,
    /// How stored numbers became values.
    pub convention: ValueConvention,
}

impl MeasuredSet {
    pub(super) fn of(set: &SampleSet) -> Self {
        Self { path: set.path().into(), samples: set.len(), convention: set.convention() }
    }
}

/// One measure of how far the second set is from the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetDistance {
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Which values are good.
    pub better: Better,
    /// Of the first set and the second.
    pub value: f64,
    /// The standard error of `value` over draws of both sets, where the measure has one.
    pub standard_error: Option<f64>,
    /// The samples of either set that `value` is of.
    pub samples: [usize; 2],
    /// Of two halves of the first set: what chance alone gives.
    pub floor: f64,
    /// Of a half of the first set and as many of the second, to be compared with `floor`: measures depend on the counts.
    pub like_floor: f64,
    /// The samples on either side of `floor` and `like_floor`.
    pub floor_samples: usize,
}

/// Everything measured between two sets of samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetsReport {
    /// The reference, A.
    pub first: MeasuredSet,
    /// What is compared with it, B.
    pub second: MeasuredSet,
    /// What one sample of either is.
    pub form: SampleForm,
    /// What the numbers depend on beside the samples.
    pub options: MeasureOptions,
    /// Each measure.
    pub distances: Vec<SetDistance>,
}

impl SetsReport {
    /// The measure of that name.
    pub fn distance(&self, name: &str) -> Option<&SetDistance> {
        self.distances.iter().find(|distance| distance.name == name)
    }

    /// Both sets, a table of the measures, and how to read it.
    pub fn markdown(&self) -> String {
        let mut text =
            format!("Two sets of {}.\n\n| | Samples | Numbers | Read from |\n|---|---|---|---|\n", self.form);
        for (name, set) in [("A", &self.first), ("B", &self.second)] {
            let _ = writeln!(text, "| {name} | {} | {} | {} |", set.samples, set.convention, set.path.display());
        }
        text.push_str(
            "\n| Measure | Better | A and B | Samples | half of A and as many of B | chance: two halves of A | Samples |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for one in &self.distances {
            let better = if one.better == Better::Lower { "lower" } else { "higher" };
            let error = one.standard_error.map_or(String::new(), |error| format!(" ± {}", scientific(error)));
            let [value, like, floor] = [one.value, one.like_floor, one.floor].map(scientific);
            let ([a, b], half) = (one.samples, one.floor_samples);
            let _ = writeln!(
                text,
                "| {} | {better} | {value}{error} | {a}, {b} | {like} | {floor} | {half}, {half} |",
                one.title
            );
        }
        let MeasureOptions { feature_seed, halves_seed, neighbours, most_for_pairs } = &self.options;
        text.push_str(
            "\nTwo halves of A differ by chance alone. Read them beside a half of A and as many of B: most measures depend\n\
             on the number of samples. B is as good as A can tell where both columns agree.\n\n",
        );
        if matches!(self.form, SampleForm::Pictures { .. }) {
            text.push_str(
                "None of these numbers is a published FID, KID, precision or recall. Those compare features of an Inception\n\
                 network; these compare pixels and features of fixed random filters. They rank sets of the same data, and say\n\
                 nothing beside numbers of other data, sizes, counts or seeds.\n\n",
            );
        }
        let _ = write!(
            text,
            "± is the standard error. Seed of the random filters: {feature_seed}. Seed of the halves: {halves_seed}.\n\
             Precision and recall reach to neighbour {neighbours}. Measures over pairs take at most {most_for_pairs} samples of \
             a set, evenly chosen.\n",
        );
        text
    }
}

/// Three digits, of small numbers too.
fn scientific(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:.2e}") } else { number(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_learns_what_was_compared_and_what_chance_gives() {
        let set = |path: &str, samples, convention| MeasuredSet { path: path.into(), samples, convention };
        let report = SetsReport {
            first: set("real", 10, ValueConvention::Bytes),
            second: set("b.npy", 9, ValueConvention::UnitInterval),
            form: SampleForm::Pictures { channels: 3, height: 8, width: 9 },
            options: MeasureOptions::default(),
            distances: vec![SetDistance {
                name: "kid",
                title: "Kernel distance",
                better: Better::Lower,
                value: -0.0000123,
                standard_error: Some(0.25),
                samples: [10, 9],
                floor: 0.5,
                like_floor: 2.0,
                floor_samples: 5,
            }],
        };
        let text = report.markdown();
        for says in [
            "Two sets of pictures of 8×9 pixels and 3 channel(s).",
            "| A | 10 | bytes, taken as x/127.5 − 1 | real |",
            "| B | 9 | floats found to lie in [0, 1], taken as 2x − 1 | b.npy |",
            "| Kernel distance | lower | -1.23e-5 ± 0.250 | 10, 9 | 2.00 | 0.500 | 5, 5 |",
            "None of these numbers is a published FID",
        ] {
            assert!(text.contains(says), "{says}:\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&json["form"]["kind"], &json["second"]["convention"]),
            (&"pictures".into(), &"unit_interval".into())
        );
        assert!(report.distance("kid").is_some() && report.distance("fid").is_none());
    }
}
