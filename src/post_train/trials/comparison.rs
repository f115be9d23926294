//! `exp(mean ln(MixFlow / control)) − 1` over seeds, beside the weights as they were.
use crate::statistics::{deviation, mean};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The distances of the three arms at one number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmDistances {
    /// Steps of the sampler.
    pub steps: usize,
    /// Of the weights as they were, by seed of the samples.
    pub none: Vec<f64>,
    /// After standard training, by seed.
    pub control: Vec<f64>,
    /// After training with the strategy of the stage, by seed.
    pub mixflow: Vec<f64>,
    /// The geometric mean of the ratio of MixFlow to the control, less 1; negative where MixFlow comes nearer to the data.
    pub change: f64,
    /// Its standard error over the seeds, paired; none for one seed.
    pub standard_error: Option<f64>,
}

/// No post-training, the control, and MixFlow, sampled and measured alike; its text is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialComparison {
    /// One row per sampler.
    pub rows: Vec<ArmDistances>,
}

impl TrialComparison {
    /// From the distances of none, control and MixFlow, each by sampler and seed.
    pub(super) fn new(steps: &[usize], [none, control, mixflow]: [Vec<Vec<f64>>; 3]) -> Result<Self> {
        let row = |(i, steps): (usize, &usize)| {
            let [none, control, mixflow] = [&none, &control, &mixflow].map(|by_sampler| by_sampler[i].clone());
            let mut all = none.iter().chain(&control).chain(&mixflow);
            if let Some(wrong) = all.find(|distance| !(**distance > 0.0 && distance.is_finite())) {
                return Err(Error::Invalid(format!("distance at {steps} steps = {wrong}: must be positive")));
            }
            let changes: Vec<f64> = mixflow.iter().zip(&control).map(|(m, c)| (m / c).ln()).collect();
            let ratio = mean(&changes).exp();
            let error = || ratio * deviation(&changes) / (changes.len() as f64).sqrt();
            let standard_error = (changes.len() > 1).then(error);
            Ok(ArmDistances { steps: *steps, none, control, mixflow, change: ratio - 1.0, standard_error })
        };
        Ok(Self { rows: steps.iter().enumerate().map(row).collect::<Result<_>>()? })
    }
}

impl std::fmt::Display for TrialComparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| steps | none | control | MixFlow | change |\n|---|---|---|---|---|")?;
        for row in &self.rows {
            let error = row.standard_error.map_or(String::new(), |error| format!(" ± {:.1}", 100.0 * error));
            let [none, control, mixflow] = [&row.none, &row.control, &row.mixflow].map(|by_seed| mean(by_seed));
            let change = 100.0 * row.change;
            writeln!(f, "| {} | {none:.4} | {control:.4} | {mixflow:.4} | {change:+.1}{error} % |", row.steps)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_paired_over_seeds() {
        let arms = [vec![vec![3.0, 9.0]], vec![vec![1.0, 10.0]], vec![vec![0.5, 5.0]]];
        let table = TrialComparison::new(&[5], arms).unwrap();
        let row = &table.rows[0];
        assert!((row.change + 0.5).abs() < 1e-12 && row.standard_error.unwrap() < 1e-12);
        assert!(table.to_string().contains("| 5 | 6.0000 | 5.5000 | 2.7500 | -50.0 ± 0.0 % |"), "{table}");
        let one = TrialComparison::new(&[5], [vec![vec![1.0]], vec![vec![1.0]], vec![vec![2.0]]]).unwrap();
        assert_eq!((one.rows[0].change, one.rows[0].standard_error), (1.0, None));
        let error = TrialComparison::new(&[5], [vec![vec![1.0]], vec![vec![0.0]], vec![vec![2.0]]]).unwrap_err();
        assert_eq!(error.to_string(), "distance at 5 steps = 0: must be positive");
    }
}
