//! The section `compare`: arms × samplers × budgets × seeds.
mod arm;
mod gfid;
mod sampler;

pub use arm::{Arm, ArmConfig, ArmWeights};
pub use gfid::GfidConfig;
pub use sampler::ArmSampler;

use super::{ExperimentConfig, add};
use crate::Problem;
use crate::data::Form;
use crate::path::PathConfig;
use crate::post_train::{OptimizerConfig, StageConfig};
use crate::sample::{CorrectionConfig, MOST_SAMPLES, MOST_STEPS, WeakGuidanceConfig};
use crate::timestep::StrategyConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A table: every arm is post-trained from the same weights with the same draws, sampled from the same noise by every
/// sampler at every budget, and compared with the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareConfig {
    /// What differs between the lines. Left out or empty: none, control, and the strategy of `post_train`.
    pub arms: Vec<ArmConfig>,
    /// The name of the arm that the others are compared with.
    pub control: String,
    /// How arms are sampled; the control's other samplers are compared with the first. Left out or empty: the sampler of
    /// `sample`.
    pub samplers: Vec<ArmSampler>,
    /// Budgets: network evaluations per sample.
    pub evaluations: Vec<usize>,
    /// One repetition of post-training and sampling each.
    pub seeds: Vec<u64>,
    /// Samples per cell of the table.
    #[schemars(range(min = 2))]
    pub samples: usize,
    /// Samples generated together.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// The seed of the fixed random convolution features.
    pub feature_seed: u64,
    /// The data that samples are compared with.
    #[serde(skip_serializing_if = "Reference::is_held_out")]
    pub reference: Reference,
    /// gFID of the samples, beside their own distances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gfid: Option<GfidConfig>,
    /// Processes that train and sample arms at the same time, each on one of `devices` in turn. 0: one for each device, on a CPU
    /// one for each core. 1: one process on all devices together, as always with `"sharding": "optimizer"`.
    pub workers: usize,
}

/// The data that samples are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Those that no training sees: what is reported.
    #[default]
    HeldOut,
    /// A fifth of the training data, which post-training then leaves out (pretraining saw them). A choice made by these
    /// touches no held-out data, and does not reward a model for having memorised what it was trained on.
    SetAside,
    /// The training data, of many 10,000, evenly chosen: for choices between ways to sample the weights of `start`, which saw
    /// all of them. They are five times as many as those set aside. No arm may be trained.
    Training,
}

impl Reference {
    fn is_held_out(&self) -> bool {
        *self == Self::HeldOut
    }
}

impl Default for CompareConfig {
    fn default() -> Self {
        Self {
            arms: Vec::new(),
            control: CONTROL.into(),
            samplers: Vec::new(),
            evaluations: vec![5, 10, 20, 50],
            seeds: vec![0, 1, 2],
            samples: 2000,
            batch_size: 500,
            feature_seed: 0,
            reference: Reference::HeldOut,
            gfid: None,
            workers: 0,
        }
    }
}

/// The names of the arms that stand for themselves.
pub(crate) const NONE: &str = "no post-training";
pub(crate) const CONTROL: &str = "control";
pub(crate) const MIXFLOW: &str = "MixFlow";

impl ExperimentConfig {
    /// The lines of the table, those with several γ written out.
    pub fn arms(&self) -> Vec<Arm> {
        if self.compare.arms.is_empty() { self.three_arms() } else { self.listed_arms() }
    }

    fn three_arms(&self) -> Vec<Arm> {
        let trained = if self.start.is_exact() { ArmWeights::Exact } else { ArmWeights::PostTrained };
        let start = if self.start.is_exact() { ArmWeights::Exact } else { ArmWeights::Start };
        let control = StageConfig { strategy: StrategyConfig::standard(), ..self.post_train.clone() };
        let name = match self.post_train.strategy {
            StrategyConfig::Mixflow { .. } => MIXFLOW,
            _ => "post-trained",
        };
        let arm = |name: &str, weights, stage: &StageConfig| Arm {
            name: name.into(),
            entry: name.into(),
            weights,
            stage: stage.clone(),
        };
        // An exact field is what no post-training and the control aim at alike.
        let none = (!self.start.is_exact()).then(|| arm(NONE, start, &control));
        none.into_iter().chain([arm(CONTROL, trained, &control), arm(name, trained, &self.post_train)]).collect()
    }

    fn listed_arms(&self) -> Vec<Arm> {
        let of = |arm: &ArmConfig| -> Vec<Arm> {
            let one = |(name, strategy)| Arm {
                name,
                entry: arm.name.clone(),
                weights: arm.weights(self.start.is_exact()),
                stage: StageConfig {
                    strategy,
                    adapter: arm.adapter.clone().unwrap_or_else(|| self.post_train.adapter.clone()),
                    optimizer: OptimizerConfig {
                        learning_rate: arm.learning_rate.unwrap_or(self.post_train.optimizer.learning_rate),
                        ..self.post_train.optimizer.clone()
                    },
                    input: arm.input,
                    anti_drift: arm.anti_drift,
                    magnitude: arm.magnitude,
                    ..self.post_train.clone()
                },
            };
            arm.strategies().into_iter().map(one).collect()
        };
        self.compare.arms.iter().flat_map(of).collect()
    }

    /// The samplers of the table.
    pub fn samplers(&self) -> Vec<ArmSampler> {
        match self.compare.samplers.is_empty() {
            true => vec![ArmSampler::of(&self.sample.sampler)],
            false => self.compare.samplers.clone(),
        }
    }

    pub(super) fn compare_problems(&self, path: &str) -> Vec<Problem> {
        let compare = &self.compare;
        let mut problems = Vec::new();
        if compare.arms.is_empty() && self.start.is_exact() {
            problems.extend(self.post_train.misfits_of_exact("post_train"));
        }
        for (i, arm) in compare.arms.iter().enumerate() {
            let path = format!("{path}.arms[{i}]");
            problems.extend(arm.problems(&path, self.flow.path, self.start.is_exact()));
            let adapter = arm.adapter.iter().flatten();
            problems.extend(adapter.flat_map(|a| a.problems(&format!("{path}.adapter"), self.post_train.precision)));
        }
        for (i, arm) in compare.arms.iter().enumerate().filter(|(_, arm)| arm.name.trim().is_empty()) {
            add(&mut problems, format!("{path}.arms[{i}].name"), format!("= {:?}: must be a name", arm.name));
        }
        let arms = self.arms();
        let known = "known only for the velocity of a ring on the linear path";
        if self.start.is_exact() && !self.has_exact_field() {
            add(&mut problems, "start.kind".into(), format!("= \"exact\": {known}"));
        } else if let Some(i) =
            arms.iter().position(|arm| arm.weights == ArmWeights::Exact).filter(|_| !self.has_exact_field())
        {
            let (path, arm) = (format!("{path}.arms[{i}].weights"), &arms[i].name);
            let message = format!("= \"exact\" of `{arm}`: {known}");
            add(&mut problems, path, message);
        }
        if let Some(arm) = arms.iter().find(|arm| arm.weights == ArmWeights::PostTrained)
            && compare.reference == Reference::Training
        {
            let message = format!(
                "= \"training\": must be \"set_aside\" or \"held_out\", as `{}` is trained: it would be praised for \
                 remembering them",
                arm.name
            );
            add(&mut problems, format!("{path}.reference"), message);
        }
        if !arms.iter().any(|arm| arm.name == compare.control) {
            let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
            let message = format!("= {:?}: must be the name of an arm, one of {}", compare.control, names.join(", "));
            add(&mut problems, format!("{path}.control"), message);
        }
        different(&mut problems, &format!("{path}.arms"), arms.iter().map(|arm| &arm.name));
        if self.samplers().first().is_some_and(|sampler| sampler.only_pictures) {
            let message = ": the first must measure distances, so it must not be \"only_pictures\"";
            add(&mut problems, format!("{path}.samplers"), message);
        }
        let samplers = self.samplers();
        different(&mut problems, &format!("{path}.samplers"), samplers.iter().map(|sampler| &sampler.name));
        if samplers.iter().any(|sampler| sampler.name.trim().is_empty()) {
            add(&mut problems, format!("{path}.samplers"), ": each needs a name");
        }
        let control = arms.iter().find(|arm| arm.name == compare.control);
        if let Some((first, control)) = self.samplers().first().zip(control).filter(|(s, arm)| !s.samples(&arm.entry)) {
            let message = format!(": `{}`, the first, must sample the control `{}`", first.name, control.name);
            add(&mut problems, format!("{path}.samplers"), message);
        }
        problems.extend(self.gfid_problems(&format!("{path}.gfid")));
        different(&mut problems, &format!("{path}.evaluations"), &compare.evaluations);
        different(&mut problems, &format!("{path}.seeds"), &compare.seeds);
        let inside = compare.evaluations.iter().all(|n| (1..=MOST_STEPS).contains(n));
        let text = format!("{:?}", compare.evaluations);
        let must = format!("must each be in 1..={MOST_STEPS}");
        Problem::unless(&mut problems, inside, path, "evaluations", text, must);
        let (samples, batch) = (compare.samples, compare.batch_size);
        Problem::unless(&mut problems, samples >= 2, path, "samples", samples, "must be at least 2");
        Problem::unless(&mut problems, batch >= 1, path, "batch_size", batch, "must be at least 1");
        let must = format!("must be at most {MOST_SAMPLES}");
        Problem::unless(&mut problems, samples <= MOST_SAMPLES, path, "samples", samples, &must);
        Problem::unless(&mut problems, batch <= MOST_SAMPLES, path, "batch_size", batch, must);
        // Steps are looked for budget by budget, so the budgets must be of a sane size.
        if inside {
            let own = !compare.samplers.is_empty();
            let under = |i: usize| if own { format!("{path}.samplers[{i}]") } else { "sample.sampler".into() };
            for (i, sampler) in self.samplers().iter().enumerate() {
                problems.extend(self.budget_problems(sampler, &under(i), own));
                problems.extend(if own { self.sampler_problems(sampler, &under(i)) } else { Vec::new() });
            }
        }
        problems
    }

    /// Whether the data and the flow have a velocity in closed form.
    fn has_exact_field(&self) -> bool {
        self.data.ring().is_some() && self.flow.path == PathConfig::Linear && self.flow.has_one_target()
    }

    /// A sampler that cannot spend any budget. That of `sample` may be adaptive; then only a comparison refuses it.
    fn budget_problems(&self, sampler: &ArmSampler, path: &str, own: bool) -> Vec<Problem> {
        let full = sampler.with_steps(2, self.compare.batch_size);
        let budgets = sampler.budgets(&self.compare.evaluations);
        let mut problems = Vec::new();
        if full.evaluations().is_none() {
            if own {
                add(&mut problems, format!("{path}.solver"), NO_FIXED_STEPS);
            }
        } else if full.problems(path).is_empty()
            && budgets.iter().all(|n| (1..=MOST_STEPS).contains(n) && sampler.with_evaluations(*n, 1).is_none())
        {
            let message = format!("{}: fits none of the evaluations {budgets:?}", step_cost(sampler));
            add(&mut problems, format!("{path}.solver"), message);
        }
        problems
    }

    fn sampler_problems(&self, sampler: &ArmSampler, path: &str) -> Vec<Problem> {
        let mut problems = sampler.with_steps(2, self.compare.batch_size).problems(path);
        if sampler.arms.as_ref().is_some_and(Vec::is_empty) {
            add(&mut problems, format!("{path}.arms"), ": must name an entry of arms, or be left out for all");
        }
        if let Some(own) = &sampler.evaluations {
            different(&mut problems, &format!("{path}.evaluations"), own);
            let (inside, text) = (own.iter().all(|n| (1..=MOST_STEPS).contains(n)), format!("{own:?}"));
            let must = format!("must each be in 1..={MOST_STEPS}");
            Problem::unless(&mut problems, inside, path, "evaluations", text, must);
        }
        if sampler.only_pictures && self.data.form() != Form::Pictures {
            add(&mut problems, format!("{path}.only_pictures"), ": these data are no pictures");
        }
        if sampler.guidance.as_ref().is_some_and(|g| g.is_active()) && !self.network.has_null_condition() {
            add(&mut problems, format!("{path}.guidance"), ": the network has no null condition");
        }
        if matches!(sampler.weak_guidance, Some(WeakGuidanceConfig::Autoguidance { .. })) && self.sample.weak.is_none()
        {
            add(&mut problems, format!("{path}.weak_guidance"), ": autoguidance needs the network of `sample.weak`");
        }
        let differential = sampler.corrections.iter().any(|c| matches!(c, CorrectionConfig::Differential(_)));
        let odd = |[_, height, width]: [usize; 3]| [height, width].iter().any(|side| !side.is_multiple_of(2));
        if differential && self.data.declared().shape.is_some_and(odd) {
            let message = ": the differential correction needs an even height and width";
            add(&mut problems, format!("{path}.corrections"), message);
        }
        for name in sampler.arms.iter().flatten() {
            if !self.arms().iter().any(|arm| arm.entry == *name) {
                add(&mut problems, format!("{path}.arms"), format!("= {name:?}: must be the name of an entry of arms"));
            }
        }
        problems
    }
}

/// Why an adaptive solver is no sampler of a comparison.
pub(crate) const NO_FIXED_STEPS: &str = ": must have fixed steps, a comparison is at equal cost";

/// `: a step takes 4 network evaluations`.
fn step_cost(sampler: &ArmSampler) -> String {
    let of = |steps| sampler.with_steps(steps, 1).evaluations();
    let one = of(3).zip(of(2)).map(|(three, two)| three - two);
    one.map_or(String::new(), |count| format!(": a step takes {count} network evaluations"))
}

/// Reports a list that is empty or repeats itself.
fn different<T: Ord>(problems: &mut Vec<Problem>, path: &str, items: impl IntoIterator<Item = T>) {
    let items: Vec<T> = items.into_iter().collect();
    let count = items.len();
    if count == 0 {
        add(problems, path.into(), ": must not be empty");
    } else if items.into_iter().collect::<BTreeSet<T>>().len() < count {
        add(problems, path.into(), ": must not repeat a name or number, it would count twice");
    }
}
