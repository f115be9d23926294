//! `mean(d/d' − 1)` over seeds: how much nearer one way is than another, from the same noise.
use crate::experiment::compare::Cell;
use crate::experiment::statistics::{mean, standard_error};
use serde::{Deserialize, Serialize};

/// A smaller gain is worth no change of a program, however certain it is: that of the choice of γ.
pub(super) const WORTH: f64 = 0.03;

/// A paired change of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The mean over seeds of `distance / other distance − 1`; negative is nearer to the data.
    pub mean: f64,
    /// Its standard error; none for one seed.
    pub standard_error: Option<f64>,
    /// Seeds.
    pub seeds: usize,
}

impl Change {
    /// `mean(mine/other − 1)` of distances by seed; none without a seed that both have, at which the other is not 0.
    pub fn paired(mine: &[(u64, f64)], other: &[(u64, f64)]) -> Option<Self> {
        let of = |(seed, distance): &(u64, f64)| {
            let (_, against) = other.iter().find(|(own, _)| own == seed)?;
            Some(distance / against - 1.0).filter(|change| change.is_finite())
        };
        let changes: Vec<f64> = mine.iter().filter_map(of).collect();
        let (mean, standard_error) = (mean(&changes), standard_error(&changes));
        (!changes.is_empty()).then_some(Self { mean, standard_error, seeds: changes.len() })
    }

    /// Whether it is beyond two standard errors, which are known.
    pub fn is_beyond_two_errors(&self) -> bool {
        self.standard_error.is_some_and(|error| self.mean.abs() > 2.0 * error)
    }

    /// Whether it is nearer by 3 % at least, beyond two standard errors.
    pub fn is_a_gain(&self) -> bool {
        self.mean <= -WORTH && self.is_beyond_two_errors()
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = 100.0 * self.mean;
        // Small changes with small errors are told from none.
        let small = percent.abs() < 0.95 && self.standard_error.is_some_and(|error| 100.0 * error < 0.5);
        let digits = usize::from(small);
        let error = self.standard_error.map_or(String::new(), |error| format!(" ± {:.digits$}", 100.0 * error));
        let unit = if small { 10.0 } else { 1.0 };
        // No −0.
        write!(f, "{:+.digits$}{error} %", (unit * percent).round() / unit + 0.0)
    }
}

/// The cells of a table, by arm, sampler and budget.
pub(super) struct Found {
    pub cells: Vec<Cell>,
    pub metric: String,
}

impl Found {
    /// With the cells of another table that are not here.
    pub fn with(mut self, other: Self) -> Self {
        for cell in other.cells {
            let same = |c: &Cell| {
                (&c.arm, &c.sampler, c.evaluations, c.seed) == (&cell.arm, &cell.sampler, cell.evaluations, cell.seed)
            };
            if !self.cells.iter().any(same) {
                self.cells.push(cell);
            }
        }
        self
    }

    /// The distances of an arm under a sampler at a budget, by seed.
    pub fn distances(&self, arm: &str, sampler: &str, evaluations: usize) -> Vec<(u64, f64)> {
        self.distances_by(&self.metric, arm, sampler, evaluations)
    }

    fn distances_by(&self, metric: &str, arm: &str, sampler: &str, evaluations: usize) -> Vec<(u64, f64)> {
        let fits = |c: &&Cell| c.arm == arm && c.sampler == sampler && c.evaluations == evaluations;
        self.cells.iter().filter(fits).filter_map(|c| Some((c.seed, *c.distances.get(metric)?))).collect()
    }

    /// How much nearer one arm and sampler are than others at a budget.
    pub fn change(&self, mine: (&str, &str), other: (&str, &str), evaluations: usize) -> Option<Change> {
        self.change_by(&self.metric, mine, other, evaluations)
    }

    /// The same by another distance of the cells.
    pub fn change_by(
        &self,
        metric: &str,
        mine: (&str, &str),
        other: (&str, &str),
        evaluations: usize,
    ) -> Option<Change> {
        let of = |(arm, sampler): (&str, &str)| self.distances_by(metric, arm, sampler, evaluations);
        Change::paired(&of(mine), &of(other))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A cell of the one distance `d`.
    pub fn cell((arm, sampler): (&str, &str), evaluations: usize, (seed, distance): (u64, f64)) -> Cell {
        Cell {
            arm: arm.into(),
            seed,
            sampler: sampler.into(),
            evaluations,
            steps: 5,
            distances: [("d".to_string(), distance)].into(),
            seconds: 0.0,
        }
    }

    #[test]
    fn changes_pair_the_seeds_that_both_have() {
        let change = Change::paired(&[(1, 0.5), (2, 4.0), (9, 1.0)], &[(2, 5.0), (1, 1.0)]).unwrap();
        assert!((change.mean + 0.35).abs() < 1e-12 && change.seeds == 2);
        assert!((change.standard_error.unwrap() - 0.15).abs() < 1e-12);
        assert_eq!(change.to_string(), "-35 ± 15 %");
        assert!(change.is_beyond_two_errors() && change.is_a_gain());
        assert_eq!(Change::paired(&[(1, 1.0)], &[(2, 1.0)]), None);
    }

    #[test]
    fn a_cell_of_two_tables_counts_once() {
        let cell = |sampler: &str, seed: u64| cell(("a", sampler), 5, (seed, seed as f64));
        let found = |cells| Found { cells, metric: "d".into() };
        let both = found(vec![cell("x", 1), cell("y", 1)]).with(found(vec![cell("x", 1), cell("x", 2)]));
        assert_eq!(both.distances("a", "x", 5), [(1, 1.0), (2, 2.0)]);
        assert_eq!(both.cells.len(), 3);
    }

    #[test]
    fn a_gain_is_large_enough_and_beyond_chance() {
        let change = |mean, standard_error| Change { mean, standard_error, seeds: 3 };
        assert!(!change(-0.02, Some(0.001)).is_a_gain());
        assert!(!change(-0.2, Some(0.11)).is_a_gain());
        assert!(!change(-0.2, None).is_a_gain());
        assert!(!change(0.2, Some(0.01)).is_a_gain());
        assert!(change(-0.2, Some(0.09)).is_a_gain());
        assert_eq!(change(-0.001, None).to_string(), "+0 %");
        assert_eq!(change(-0.0041, Some(0.0009)).to_string(), "-0.4 ± 0.1 %");
        assert_eq!(change(-0.004, Some(0.02)).to_string(), "+0 ± 2 %");
    }
}
