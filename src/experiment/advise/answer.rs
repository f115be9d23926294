//! What an advice found, as `advice.json` holds it.
use super::change::{Change, WORTH};
use crate::experiment::config::ArmSampler;
use crate::experiment::velocity_deficit::VelocityDeficit;
use serde::{Deserialize, Serialize};

/// The answer for every budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The distance it is judged by.
    pub metric: String,
    /// The distance between training and held-out data: no model can be expected to do better.
    pub floor: Option<f64>,
    /// One for each budget.
    pub budgets: Vec<BudgetAnswer>,
    /// The model's velocity deficit; none where it was not measured.
    pub deficit: Option<VelocityDeficit>,
    /// The times fitted to the model, for solvers of order 1 and of higher order; none where they were not measured.
    #[serde(default)]
    pub fitted: Option<[Vec<f64>; 2]>,
}

/// The answer for one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetAnswer {
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// The user's own way to sample.
    pub own: String,
    /// Ways to sample that were tried beside it.
    pub tried: usize,
    /// The nearest of them, without a refinement that held-out data do not confirm; none if no one is nearer than the user's
    /// own by 3 % and two standard errors.
    pub best: Option<Choice>,
    /// The refinement, which is a correction or a grid around the best one, that was nearer on training data and is not on
    /// held-out data; none where there is no such.
    #[serde(default)]
    pub dropped: Option<Dropped>,
    /// Those of the last rounds, the nearest first.
    pub finalists: Vec<Finalist>,
    /// What pilots showed; empty where there was no time for them.
    pub pilots: Vec<PilotOutcome>,
    /// The way to sample of `PilotOutcome::under_best`: the best of the sweep, whatever held-out data said of it later.
    #[serde(default)]
    pub pilots_under: String,
    /// What MixFlow adds, on held-out data; none where no pilot was worth it.
    pub trained: Option<TrainedOutcome>,
    /// The distances on held-out data; empty where there was no time to confirm.
    pub distances: Vec<Distance>,
}

/// The free setting that was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The way to sample.
    pub sampler: ArmSampler,
    /// Its steps.
    pub steps: usize,
    /// The change against the user's own on training data, by which it was chosen.
    pub chosen: Change,
    /// The same on held-out data with fresh seeds; none where there was no time.
    pub confirmed: Option<Change>,
    /// The same by the other distances of the data, on held-out data too.
    pub others: Vec<OtherChange>,
}

/// A refinement that held-out data do not confirm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The refined way to sample.
    pub name: String,
    /// The nearest way that is no refinement.
    #[serde(default)]
    pub plain: String,
    /// Its change against the nearest way that is no refinement, on training data.
    pub chosen: Change,
    /// The same on held-out data.
    pub confirmed: Change,
}

/// A change by a distance that nothing was chosen by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherChange {
    /// The name of the distance.
    pub metric: String,
    /// The change.
    pub change: Change,
}

/// A way to sample of the last rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalist {
    /// Its name.
    pub name: String,
    /// Its mean distance to training data, over the seeds that all finalists have.
    pub distance: f64,
    /// Its change against the user's own; none for that itself.
    pub change: Option<Change>,
    /// Its change against the nearest; none for that itself.
    pub behind: Option<Change>,
}

/// A short training on a part of the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PilotOutcome {
    /// The mixture range γ.
    pub gamma: f64,
    /// Its change against the control under the best free setting.
    pub under_best: Change,
    /// The same under the user's own.
    pub under_own: Change,
}

/// What MixFlow adds, on held-out data with fresh seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedOutcome {
    /// The mixture range γ.
    pub gamma: f64,
    /// Steps of the training.
    pub steps: usize,
    /// Whether these are all that `post_train` says.
    pub whole: bool,
    /// Under the best free setting.
    pub under_best: Gain,
    /// Under the user's own.
    pub under_own: Gain,
}

/// MixFlow beside what it is compared with, all sampled alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// MixFlow against the control: what slowing the timestep is worth.
    pub against_control: Change,
    /// MixFlow against the weights as they are: what the training is worth.
    pub against_start: Change,
    /// The control against the weights as they are: what training on as before is worth.
    pub of_control: Change,
}

/// A distance on held-out data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// The arm: no post-training, control, MixFlow.
    pub arm: String,
    /// The way to sample.
    pub sampler: String,
    /// Network evaluations per sample.
    pub evaluations: usize,
    /// The mean over seeds.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
}

impl Gain {
    /// Whether it is worth training: MixFlow gains on the control, and on not training at all.
    pub fn is_worth_it(&self) -> bool {
        self.against_control.is_a_gain() && self.against_start.is_a_gain()
    }
}

impl Choice {
    /// A way to sample with a budget, not confirmed yet.
    pub(super) fn new(sampler: &ArmSampler, chosen: Change, evaluations: usize) -> Self {
        let steps = sampler.with_evaluations(evaluations, 1).map_or(0, |config| config.steps);
        Self { sampler: sampler.clone(), steps, chosen, confirmed: None, others: Vec::new() }
    }
}

impl BudgetAnswer {
    /// The free setting that is advised: the chosen one, if held-out data confirm a gain, or could not be asked.
    pub fn advised(&self) -> Option<&Choice> {
        self.best.as_ref().filter(|best| best.confirmed.is_none_or(|change| change.is_a_gain()))
    }

    /// What MixFlow adds to the setting that is advised.
    pub fn gain(&self) -> Option<&Gain> {
        let trained = self.trained.as_ref()?;
        Some(if self.advised().is_some() { &trained.under_best } else { &trained.under_own })
    }

    /// The γ to post-train with, if it is worth it.
    pub fn gamma(&self) -> Option<f64> {
        self.trained.as_ref().filter(|_| self.gain().is_some_and(Gain::is_worth_it)).map(|trained| trained.gamma)
    }

    /// Whether nothing is decided about MixFlow: no time for pilots, or none to confirm what one of them gained.
    pub fn is_open(&self) -> bool {
        let unconfirmed = self.best_pilot().is_none_or(|pilot| pilot.under_best.mean <= -WORTH);
        self.trained.is_none() && (unconfirmed || self.open_pilot().is_some())
    }

    /// The pilot that gains most under the user's own sampling, where that is kept although pilots were judged under another.
    pub(super) fn open_pilot(&self) -> Option<&PilotOutcome> {
        let kept = self.advised().is_none() && self.pilots_under != self.own;
        let gains = self.pilots.iter().filter(|pilot| kept && pilot.under_own.is_a_gain());
        gains.min_by(|a, b| a.under_own.mean.total_cmp(&b.under_own.mean))
    }

    /// The distance of what is advised from held-out data, the weights as they are.
    pub(super) fn reached(&self) -> Option<&Distance> {
        let name = self.advised().map_or(&self.own, |choice| &choice.sampler.name);
        self.distances.iter().find(|d| d.sampler == *name && d.evaluations == self.evaluations)
    }

    /// The pilot that came nearest under the best free setting.
    pub(super) fn best_pilot(&self) -> Option<&PilotOutcome> {
        self.pilots.iter().min_by(|a, b| a.under_best.mean.total_cmp(&b.under_best.mean))
    }
}
