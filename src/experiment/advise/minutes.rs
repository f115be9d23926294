//! The minutes that an advice may take: what is spent, what things cost here, and what was decided by that.
use super::plan::{ConfirmationPlan, PilotPlan, SweepPlan};
use crate::Result;
use crate::experiment::compare::Work;
use crate::experiment::estimate::StepCost;
use crate::experiment::files::{pretty, read, write};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// By how much more than timed steps everything is expected to take, before anything was measured: processes start, data
/// are opened, distances measured.
const UNKNOWN: f64 = 1.5;

/// Seconds of measured work from which on it is believed.
const ENOUGH: f64 = 5.0;

/// Seconds that work was expected to take by timed steps, and those that it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Ratio {
    predicted: f64,
    actual: f64,
}

impl Ratio {
    fn add(&mut self, predicted: f64, actual: f64) {
        (self.predicted, self.actual) = (self.predicted + predicted, self.actual + actual);
    }

    /// How much slower than timed steps everything is, starting processes and measuring distances included.
    fn slower(&self) -> f64 {
        if self.actual > ENOUGH && self.predicted > 0.0 { 1.05 * self.actual / self.predicted } else { UNKNOWN }
    }
}

/// What was decided, as it is kept: a run that was stopped goes on with the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    cost: Option<StepCost>,
    /// Of all sittings so far, when this was written.
    seconds: f64,
    sampling: Ratio,
    training: Ratio,
    /// One after the other, the larger ones as time was left; none once there was no more.
    sweeps: Vec<Option<SweepPlan>>,
    pilots: Option<PilotPlan>,
    confirmation: Option<ConfirmationPlan>,
}

/// The clock and the decisions of one advice.
pub(super) struct Minutes {
    file: PathBuf,
    started: Instant,
    before: f64,
    all: f64,
    kept: Kept,
}

impl Minutes {
    /// What `file` keeps, or a fresh start with `minutes`.
    pub fn open(file: &Path, minutes: f64) -> Self {
        let kept: Kept = read(file).unwrap_or_default();
        let before = kept.seconds;
        Self { file: file.to_path_buf(), started: Instant::now(), before, all: 60.0 * minutes, kept }
    }

    /// Seconds so far, all sittings together.
    pub fn spent(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Seconds that are left.
    pub fn left(&self) -> f64 {
        (self.all - self.spent()).max(0.0)
    }

    /// What a step costs here, timed once.
    pub fn cost(&mut self, time: impl FnOnce() -> Result<StepCost>) -> Result<StepCost> {
        match self.kept.cost {
            Some(cost) => Ok(cost),
            None => {
                let cost = time()?;
                self.kept.cost = Some(cost);
                self.save()?;
                Ok(cost)
            }
        }
    }

    /// The seconds that some work takes, by what was measured so far.
    pub fn seconds(&self, work: Work) -> f64 {
        let [training, sampling] = self.timed(work);
        self.kept.training.slower() * training + self.kept.sampling.slower() * sampling
    }

    /// Learns that some work took `seconds`: of a table that trains, what is beyond its sampling is training.
    pub fn learn(&mut self, work: Work, seconds: f64) -> Result<()> {
        let [training, sampling] = self.timed(work);
        if training > 0.0 {
            let of_sampling = self.kept.sampling.slower() * sampling;
            self.kept.training.add(training, (seconds - of_sampling).max(0.3 * training));
        } else {
            self.kept.sampling.add(sampling, seconds);
        }
        self.save()
    }

    /// Seconds of training and of sampling by timed steps.
    fn timed(&self, work: Work) -> [f64; 2] {
        let of = |work| self.kept.cost.map_or(0.0, |cost| cost.seconds(work));
        [of(Work::trained(work.training)), of(Work { training: 0.0, ..work })]
    }

    /// The sweep after so many others that was decided, or is now.
    pub fn sweep(
        &mut self,
        others: usize,
        decide: impl FnOnce(&Self) -> Result<Option<SweepPlan>>,
    ) -> Result<Option<SweepPlan>> {
        if let Some(plan) = self.kept.sweeps.get(others) {
            return Ok(*plan);
        }
        let plan = decide(self)?;
        self.kept.sweeps.push(plan);
        self.save()?;
        Ok(plan)
    }

    /// Seconds that are left of a part of all minutes.
    pub fn left_of(&self, part: f64) -> f64 {
        (part * self.all - self.spent()).max(0.0)
    }

    /// The pilots that were decided, or are now.
    pub fn pilots(&mut self, decide: impl FnOnce(&Self) -> PilotPlan) -> Result<PilotPlan> {
        let plan = self.kept.pilots.clone().unwrap_or_else(|| decide(self));
        self.kept.pilots = Some(plan.clone());
        self.save()?;
        Ok(plan)
    }

    /// The confirmation that was decided, or is now.
    pub fn confirmation(&mut self, decide: impl FnOnce(&Self) -> ConfirmationPlan) -> Result<ConfirmationPlan> {
        let plan = self.kept.confirmation.unwrap_or_else(|| decide(self));
        self.kept.confirmation = Some(plan);
        self.save()?;
        Ok(plan)
    }

    fn save(&mut self) -> Result<()> {
        self.kept.seconds = self.spent();
        write(&self.file, &pretty(&self.kept)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_and_spent_outlives_a_sitting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        let cost = StepCost { step: 0.3, evaluation: 0.01, picture: 0.0, batch: 10 };
        let mut first = Minutes::open(&file, 1.0);
        assert_eq!(first.cost(|| Ok(cost)).unwrap(), cost);
        let work = |training: f64, sampling: f64| Work { training, sampling, pictures: 0.0 };
        assert!((first.seconds(work(300.0, 1000.0)) - UNKNOWN * 13.0).abs() < 1e-9);
        // Sampling takes twice as long as timed steps say, training three times.
        first.learn(work(0.0, 1000.0), 20.0).unwrap();
        assert!((first.seconds(work(0.0, 1000.0)) - 21.0).abs() < 1e-9);
        first.learn(work(300.0, 1000.0), 21.0 + 9.0).unwrap();
        assert!((first.seconds(work(300.0, 0.0)) - 1.05 * 9.0).abs() < 1e-9);
        let plan = PilotPlan { gammas: vec![0.2], seeds: 2 };
        first.pilots(|_| plan.clone()).unwrap();
        drop(first);
        let mut second = Minutes::open(&file, 1.0);
        assert!(second.spent() >= second.before && second.left() <= 60.0);
        assert!((second.seconds(work(300.0, 0.0)) - 1.05 * 9.0).abs() < 1e-9);
        assert_eq!(second.pilots(|_| unreachable!()).unwrap(), plan);
        second.cost(|| unreachable!()).unwrap();
    }
}
