//! `v = v_u + w (v_c − v_u)`: classifier-free guidance ([arXiv 2207.12598](https://arxiv.org/abs/2207.12598)).
use crate::Problem;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which channels (dimension 1 of the data) are guided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuidedChannels {
    /// All of them.
    #[default]
    All,
    /// The first three; the others keep the conditional velocity. This is what the reference SiT
    /// sampler does with its four latent channels, and what its published numbers used.
    FirstThree,
}

/// Classifier-free guidance; doubles the network evaluations unless `scale` is 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuidanceConfig {
    /// `w`: 0 is unconditional, 1 conditional, above 1 extrapolates. Finite and at least 0.
    #[schemars(range(min = 0.0))]
    pub scale: f64,
    /// The guided channels.
    #[serde(default)]
    pub channels: GuidedChannels,
}

impl GuidanceConfig {
    /// What is wrong with the values, each under `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = self.scale.is_finite() && self.scale >= 0.0;
        Problem::unless(&mut problems, valid, path, "scale", self.scale, "must be finite and at least 0");
        problems
    }

    /// Whether the unconditional prediction matters, that is, `scale` is not 1.
    pub fn is_active(&self) -> bool {
        self.scale != 1.0
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn combined(channels: GuidedChannels) -> Vec<f32> {
        let tensor = |values: [[f32; 4]; 1]| Tensor::<2>::from_floats(values, &Device::flex());
        let config = GuidanceConfig { scale: 2.0, channels };
        let result = config.combine(tensor([[1.0, 2.0, 3.0, 4.0]]), tensor([[0.0, 0.0, 1.0, 1.0]]));
        result.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn guidance_extrapolates_the_guided_channels_only() {
        assert_eq!(combined(GuidedChannels::All), [2.0, 4.0, 5.0, 7.0]);
        assert_eq!(combined(GuidedChannels::FirstThree), [2.0, 4.0, 5.0, 4.0]);
    }

    #[test]
    fn unusable_scales_are_reported_with_their_path() {
        for scale in [f64::NAN, f64::INFINITY, -0.5] {
            let config = GuidanceConfig { scale, channels: GuidedChannels::All };
            assert_eq!(config.problems("sampler.guidance")[0].path, "sampler.guidance.scale");
        }
        assert!(GuidanceConfig { scale: 0.0, channels: GuidedChannels::All }.problems("g").is_empty());
    }

    #[test]
    fn channels_default_to_all_and_unknown_keys_are_refused() {
        let config: GuidanceConfig = serde_json::from_str(r#"{"scale": 1.5}"#).unwrap();
        assert_eq!(config, GuidanceConfig { scale: 1.5, channels: GuidedChannels::All });
        assert!(serde_json::from_str::<GuidanceConfig>(r#"{"scale": 1.5, "chanels": "all"}"#).is_err());
    }
}
