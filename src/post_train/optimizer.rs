//! AdamW as PyTorch defines it, and its learning rate over the steps.
use crate::Problem;
use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

/// AdamW. The defaults are those of SiT: betas (0.9, 0.999), eps 1e-8, no weight decay, no clipping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Peak learning rate, in (0, 1].
    pub learning_rate: f64,
    /// β₁ and β₂, each in [0, 1).
    pub betas: [f64; 2],
    /// ε, positive.
    pub epsilon: f64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
    /// Global gradient norm to clip to.
    pub clip: Option<f64>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-4, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0, clip: None }
    }
}

impl OptimizerConfig {
    /// Everything out of range.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut must = |ok: bool, key: &str, value: f64, condition: &str| {
            Problem::unless(&mut problems, ok, path, key, value, condition);
        };
        let lr = self.learning_rate;
        must(lr > 0.0 && lr <= 1.0, "learning_rate", lr, "must be in (0, 1]");
        for (i, beta) in self.betas.into_iter().enumerate() {
            // AdamW computes in f32, where a number too near 1 is 1.
            let below = (beta as f32) < 1.0;
            must((0.0..1.0).contains(&beta) && below, &format!("betas[{i}]"), beta, "must be in [0, 1), in f32 too");
        }
        let small = self.epsilon as f32;
        must(small.is_normal() && small > 0.0, "epsilon", self.epsilon, "must be positive, in f32 too");
        let (decay, finite) = (self.weight_decay, (self.weight_decay as f32).is_finite());
        must(decay >= 0.0 && finite, "weight_decay", decay, "must be at least 0, and finite in f32");
        let clip = self.clip.unwrap_or(1.0);
        must(clip > 0.0 && clip.is_finite(), "clip", clip, "must be positive");
        problems
    }

    /// Burn's optimizer, with the feature `fused` in one pass on a CPU. Clipping is done by the training step, on the
    /// global norm.
    pub fn build(&self) -> ModuleOptimizer {
        let (betas, epsilon, decay) = (self.betas.map(|b| b as f32), self.epsilon as f32, self.weight_decay as f32);
        adamw(betas, epsilon, decay)
    }
}

#[cfg(feature = "fused")]
fn adamw(betas: [f32; 2], epsilon: f32, weight_decay: f32) -> ModuleOptimizer {
    crate::ops::AdamW::new(betas, epsilon, weight_decay).into()
}

#[cfg(not(feature = "fused"))]
fn adamw([beta_1, beta_2]: [f32; 2], epsilon: f32, weight_decay: f32) -> ModuleOptimizer {
    burn::optim::AdamWConfig::new()
        .with_beta_1(beta_1)
        .with_beta_2(beta_2)
        .with_epsilon(epsilon)
        .with_weight_decay(weight_decay)
        .init()
}

/// How the learning rate goes from its peak to the last step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays.
    #[default]
    Constant,
    /// A straight line to `final_fraction` of the peak.
    Linear,
    /// Half a cosine to `final_fraction` of the peak.
    Cosine,
}

/// Linear warm-up, a time at the peak, then the decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Steps from 0 to the peak: step `k` uses `(k + 1)/warm_up` of it.
    pub warm_up: usize,
    /// Steps at the peak between the warm-up and the decay.
    pub hold: usize,
    /// The way down.
    pub decay: Decay,
    /// The step, counted from 0, that ends the decay; the last one if left out.
    pub decay_end: Option<usize>,
    /// The fraction of the peak at the end of the decay and after it, in (0, 1].
    pub final_fraction: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { warm_up: 0, hold: 0, decay: Decay::Constant, decay_end: None, final_fraction: 1.0 }
    }
}

impl ScheduleConfig {
    /// Everything out of range, or ignored.
    pub fn problems(&self, path: &str, steps: usize) -> Vec<Problem> {
        let mut problems = Vec::new();
        let last = self.final_fraction;
        let valid = last > 0.0 && last <= 1.0;
        Problem::unless(&mut problems, valid, path, "final_fraction", last, "must be in (0, 1]");
        let used = !valid || self.decay != Decay::Constant || last == 1.0;
        Problem::unless(&mut problems, used, path, "final_fraction", last, "would be ignored, decay is \"constant\"");
        let most = format!("must be at most the {steps} steps of the stage");
        Problem::unless(&mut problems, self.warm_up <= steps, path, "warm_up", self.warm_up, &most);
        let decays = self.decay != Decay::Constant;
        let start = self.warm_up.saturating_add(self.hold);
        let ignored = "would be ignored, decay is \"constant\"";
        Problem::unless(&mut problems, decays || self.hold == 0, path, "hold", self.hold, ignored);
        let room = !decays || self.hold == 0 || start <= steps;
        Problem::unless(&mut problems, room, path, "hold", self.hold, format!("{most}, with the warm-up before it"));
        if let Some(end) = self.decay_end {
            Problem::unless(&mut problems, decays, path, "decay_end", end, ignored);
            let after =
                format!("must be above the {start} steps of warm-up and hold and below the {steps} of the stage");
            Problem::unless(&mut problems, !decays || start < end && end < steps, path, "decay_end", end, after);
        }
        problems
    }

    /// The learning rate of step `step` of `steps`, counted from 0; past the end it stays.
    pub fn rate(&self, peak: f64, step: usize, steps: usize) -> f64 {
        if step < self.warm_up {
            return peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let (start, end) = (self.warm_up.saturating_add(self.hold), self.decay_end.unwrap_or(steps.saturating_sub(1)));
        let way = end.saturating_sub(start).max(1);
        let gone = (step.saturating_sub(start) as f64 / way as f64).min(1.0);
        let left = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - gone,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * gone).cos()),
        };
        peak * (self.final_fraction + (1.0 - self.final_fraction) * left)
    }

    /// As a Burn scheduler, whose only state is the step.
    pub fn build(&self, peak: f64, steps: usize) -> Scheduler {
        Scheduler { schedule: *self, peak, steps, step: 0 }
    }
}

/// A [`ScheduleConfig`] at work.
#[derive(Debug, Clone)]
pub struct Scheduler {
    schedule: ScheduleConfig,
    peak: f64,
    steps: usize,
    step: usize,
}

impl Scheduler {
    /// Goes on after so many steps.
    pub(super) fn skip(&mut self, steps: usize) {
        self.step += steps;
    }
}

impl LrScheduler for Scheduler {
    fn step(&mut self) -> f64 {
        let rate = self.schedule.rate(self.peak, self.step, self.steps);
        self.step += 1;
        rate
    }
    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("step", self.step as u64)
    }
    fn load_record(&mut self, record: LrSchedulerRecord) {
        self.step = record.scalar::<u64>("step").unwrap_or(0) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_warms_up_comes_down_and_never_rises_again() {
        let schedule = ScheduleConfig { warm_up: 10, decay: Decay::Cosine, final_fraction: 0.05, ..Default::default() };
        assert_eq!(schedule.rate(1e-3, 0, 110), 1e-4);
        assert_eq!(schedule.rate(1e-3, 9, 110), 1e-3);
        assert!((schedule.rate(1e-3, 109, 110) - 5e-5).abs() < 1e-15);
        assert!((schedule.rate(1e-3, 500, 110) - 5e-5).abs() < 1e-15);
    }

    #[test]
    fn the_peak_is_held_and_the_decay_ends_early() {
        let json = r#"{"hold": 4, "decay": "linear", "decay_end": 12, "final_fraction": 0.1}"#;
        let schedule: ScheduleConfig = serde_json::from_str(json).unwrap();
        assert!(schedule.problems("schedule", 16).is_empty());
        let rates: Vec<f64> = (0..16).map(|step| schedule.rate(1.0, step, 16)).collect();
        assert_eq!(rates[..5], [1.0; 5]);
        assert!((rates[8] - 0.55).abs() < 1e-15 && rates[12..].iter().all(|r| (r - 0.1).abs() < 1e-15), "{rates:?}");
    }

    #[test]
    fn impossible_holds_and_ends_are_named() {
        let text = |schedule: ScheduleConfig| -> Vec<String> {
            schedule.problems("s", 10).iter().map(ToString::to_string).collect()
        };
        let constant = ScheduleConfig { hold: 2, decay_end: Some(3), ..Default::default() };
        let ignored = "would be ignored, decay is \"constant\"";
        assert_eq!(text(constant), [format!("s.hold = 2: {ignored}"), format!("s.decay_end = 3: {ignored}")]);
        let linear = ScheduleConfig { decay: Decay::Linear, ..Default::default() };
        let long = text(ScheduleConfig { warm_up: 4, hold: 7, ..linear });
        assert_eq!(long, ["s.hold = 7: must be at most the 10 steps of the stage, with the warm-up before it"]);
        for (hold, end) in [(3, 3), (0, 10)] {
            let found = text(ScheduleConfig { hold, decay_end: Some(end), ..linear });
            assert!(found.len() == 1 && found[0].contains("s.decay_end"), "{found:?}");
        }
    }

    #[test]
    fn a_resumed_schedule_goes_on() {
        let schedule = ScheduleConfig { warm_up: 3, decay: Decay::Linear, final_fraction: 0.1, ..Default::default() };
        let mut whole = schedule.build(1e-2, 20);
        let rates: Vec<f64> = (0..20).map(|_| whole.step()).collect();
        let mut first = schedule.build(1e-2, 20);
        assert_eq!((0..7).map(|_| first.step()).collect::<Vec<_>>(), rates[..7]);
        let mut second = schedule.build(1e-2, 20);
        second.load_record(first.to_record());
        assert_eq!((7..20).map(|_| second.step()).collect::<Vec<_>>(), rates[7..]);
    }
}
