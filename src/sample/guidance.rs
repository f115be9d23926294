//! `v = v_u + w (v_c − v_u)`: classifier-free guidance ([arXiv 2207.12598](https://arxiv.org/abs/2207.12598)).
use super::At;
use crate::Problem;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Times on the edge of an interval are inside it, although `1 − t` rounds.
const SLACK: f64 = 1e-9;

/// Which channels (dimension 1 of the data) are guided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GuidedChannels {
    /// All of them.
    #[default]
    All,
    /// The first three; the others keep the conditional velocity. This is what the reference SiT
    /// sampler does with its four latent channels, and what its published numbers used.
    FirstThree,
}

/// What is compared with the interval of a guidance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GuidancePer {
    /// The time of each evaluation, as RAE does.
    #[default]
    Evaluation,
    /// The start of the step, for all evaluations of the step, as REPA does.
    Step,
}

/// Classifier-free guidance; doubles the network evaluations where it is active, unless `scale` is 0 or 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GuidanceConfig {
    /// `w`: 0 is unconditional, 1 conditional, above 1 extrapolates. Finite and at least 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub scale: f64,
    /// The guided channels.
    #[serde(default)]
    pub channels: GuidedChannels,
    /// `[first, last]`: guided from the one time to the other, both included; elsewhere the prediction is
    /// conditional. In this crate's time: REPA's `guidance_low`, `guidance_high` and RAE's `t_min`, `t_max`
    /// are `[1 − high, 1 − low]`. In [0, 1]; always guided if left out.
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
    /// What is compared with the interval.
    #[serde(default)]
    pub per: GuidancePer,
}

impl GuidanceConfig {
    /// Guidance of all channels with one scale at all times.
    pub fn new(scale: f64) -> Self {
        Self { scale, channels: GuidedChannels::All, interval: None, per: GuidancePer::Evaluation }
    }

    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = (self.scale as f32).is_finite() && self.scale >= 0.0;
        Problem::unless(&mut problems, valid, path, "scale", self.scale, "must be finite in f32 and at least 0");
        interval_problems(&mut problems, path, self.interval);
        problems
    }

    /// Whether the unconditional prediction ever matters, that is, `scale` is not 1.
    pub fn is_active(&self) -> bool {
        self.scale != 1.0
    }

    /// Whether it matters at `at`.
    pub fn is_active_at(&self, at: &At<'_>) -> bool {
        let time = match self.per {
            GuidancePer::Evaluation => at.time,
            GuidancePer::Step => at.step.start,
        };
        self.is_active() && inside(self.interval, time)
    }

    /// Whether the conditional and the unconditional prediction matter at `at`.
    pub(super) fn needs(&self, at: &At<'_>) -> (bool, bool) {
        let active = self.is_active_at(at);
        let replaced = active && self.scale == 0.0 && self.channels == GuidedChannels::All;
        (!replaced, active)
    }

    /// `v_u + w (v_c − v_u)` on the guided channels, `v_c` on the others; both `[batch, channels, ...]`.
    pub fn combine<const D: usize>(&self, conditional: Tensor<D>, unconditional: Tensor<D>) -> Tensor<D> {
        let guide = |c: Tensor<D>, u: Tensor<D>| u.clone() + (c - u).mul_scalar(self.scale);
        let channels = if D > 1 { conditional.dims()[1] } else { 0 };
        if self.channels == GuidedChannels::All || channels <= 3 {
            return guide(conditional, unconditional);
        }
        let first = guide(conditional.clone().narrow(1, 0, 3), unconditional.narrow(1, 0, 3));
        Tensor::cat(vec![first, conditional.narrow(1, 3, channels - 3)], 1)
    }
}

/// Whether `time` is inside `interval`; none holds all times.
pub(super) fn inside(interval: Option<[f64; 2]>, time: f64) -> bool {
    interval.is_none_or(|[first, last]| first - SLACK <= time && time <= last + SLACK)
}

pub(super) fn interval_problems(problems: &mut Vec<Problem>, path: &str, interval: Option<[f64; 2]>) {
    if let Some([first, last]) = interval {
        let valid = 0.0 <= first && first <= last && last <= 1.0;
        let value = format!("[{first}, {last}]");
        Problem::unless(problems, valid, path, "interval", value, "must be [first, last] with 0 <= first <= last <= 1");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;
    use burn::tensor::Device;

    fn combined(channels: GuidedChannels) -> Vec<f32> {
        let tensor = |values: [[f32; 4]; 1]| Tensor::<2>::from_floats(values, &Device::flex());
        let config = GuidanceConfig { channels, ..GuidanceConfig::new(2.0) };
        let result = config.combine(tensor([[1.0, 2.0, 3.0, 4.0]]), tensor([[0.0, 0.0, 1.0, 1.0]]));
        result.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn guidance_extrapolates_the_guided_channels_only() {
        assert_eq!(combined(GuidedChannels::All), [2.0, 4.0, 5.0, 7.0]);
        assert_eq!(combined(GuidedChannels::FirstThree), [2.0, 4.0, 5.0, 4.0]);
    }

    #[test]
    fn unusable_scales_and_intervals_are_reported_with_their_path() {
        for scale in [f64::NAN, f64::INFINITY, -0.5] {
            assert_eq!(GuidanceConfig::new(scale).problems("sampler.guidance")[0].path, "sampler.guidance.scale");
        }
        assert!(GuidanceConfig::new(0.0).problems("g").is_empty());
        for interval in [[0.5, 0.4], [-0.1, 0.4], [0.5, 1.1], [f64::NAN, 1.0]] {
            let config = GuidanceConfig { interval: Some(interval), ..GuidanceConfig::new(2.0) };
            assert_eq!(config.problems("g")[0].path, "g.interval");
        }
    }

    #[test]
    fn the_interval_holds_its_ends_and_is_compared_with_the_evaluation_or_the_step() {
        let at = At::within(Step { index: 1, count: 4, start: 0.25 }, 0.5);
        let active = |per, first| {
            GuidanceConfig { interval: Some([first, 0.5]), per, ..GuidanceConfig::new(2.0) }.is_active_at(&at)
        };
        assert!(active(GuidancePer::Evaluation, 0.5) && active(GuidancePer::Step, 0.25));
        assert!(active(GuidancePer::Evaluation, 0.3) && !active(GuidancePer::Step, 0.3));
        // REPA: linspace(1, 0, 251)[75] is guided with guidance_high = 0.7.
        let config = GuidanceConfig { interval: Some([1.0 - 0.7, 1.0]), ..GuidanceConfig::new(1.8) };
        assert!(config.is_active_at(&At::alone(75.0 / 250.0)) && !config.is_active_at(&At::alone(74.0 / 250.0)));
    }

    #[test]
    fn channels_default_to_all_and_unknown_keys_are_refused() {
        let config: GuidanceConfig = serde_json::from_str(r#"{"scale": 1.5}"#).unwrap();
        assert_eq!(config, GuidanceConfig::new(1.5));
        assert!(serde_json::from_str::<GuidanceConfig>(r#"{"scale": 1.5, "chanels": "all"}"#).is_err());
    }
}
