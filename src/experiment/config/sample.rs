//! The section `sample`: what is generated, and how.
use super::start::WeightsConfig;
use super::{ExperimentConfig, PromptsConfig, add};
use crate::Problem;
use crate::data::{Form, PixelRule};
use crate::models::NetworkConfig;
use crate::models::encoders::autoencoder_kl::AutoencoderKlConfig;
use crate::models::rae::RaeDecoderConfig;
use crate::sample::{MOST_SAMPLES, SamplerConfig, SolverConfig, WeakGuidanceConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The samples that are drawn after training, and by `mixflow sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SampleConfig {
    /// How many. At least 1.
    #[schemars(range(min = 1))]
    pub count: usize,
    /// The seed of noise and labels.
    pub seed: u64,
    /// The labels; text-conditioned networks take the texts of the held-out items in turn.
    pub labels: LabelSampling,
    /// Solver, steps, guidance.
    pub sampler: SamplerConfig,
    /// The weak network of autoguidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak: Option<WeakConfig>,
    /// The blocks that skip-layer guidance skips; those of the Stable Diffusion 3.5 reference if left out.
    pub skipped_layers: Vec<usize>,
    /// RAE's decoder, so that samples become pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<DecoderConfig>,
    /// The autoencoder of Stable Diffusion, so that samples of SiT, REPA and Stable Diffusion 3.5 become pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoencoder: Option<AutoencoderConfig>,
    /// How a decoded value becomes a byte; as the official code of the system does if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_rule: Option<PixelRule>,
    /// Prompts that `mixflow sample` draws pictures for, instead of the texts of held-out items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptsConfig>,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            count: 64,
            seed: 0,
            labels: LabelSampling::default(),
            sampler: SamplerConfig::new(SolverConfig::Euler, 20, 64),
            weak: None,
            skipped_layers: vec![7, 8, 9],
            decoder: None,
            autoencoder: None,
            pixel_rule: None,
            prompts: None,
        }
    }
}

/// The labels of generated samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelSampling {
    /// Uniform over the classes, as SiT and REPA do.
    #[default]
    Random,
    /// Every class equally often, as RAE does: sample `i` has label `i mod classes`.
    Equal,
}

/// The second network of autoguidance: smaller, or less trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeakConfig {
    /// Its sizes.
    pub network: NetworkConfig,
    /// Its weights.
    pub weights: WeightsConfig,
}

/// RAE's decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Its sizes.
    #[serde(default)]
    pub network: RaeDecoderConfig,
    /// Its weights.
    pub weights: WeightsConfig,
}

/// An autoencoder of Stable Diffusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Its sizes; those of `sd-vae-ft-ema` and `sd-vae-ft-mse` if left out.
    #[serde(default)]
    pub network: AutoencoderKlConfig,
    /// Its weights.
    pub weights: WeightsConfig,
}

impl ExperimentConfig {
    pub(super) fn sample_problems(&self, path: &str) -> Vec<Problem> {
        let (sample, network) = (&self.sample, &self.network);
        let mut problems = sample.sampler.problems(&format!("{path}.sampler"));
        let (inside, must) = ((1..=MOST_SAMPLES).contains(&sample.count), format!("must be in 1..={MOST_SAMPLES}"));
        Problem::unless(&mut problems, inside, path, "count", sample.count, must);
        let declared = self.data.declared();
        if let Some(weak) = &sample.weak {
            problems.extend(weak.weights.problems(&format!("{path}.weak.weights")));
            let key = format!("{path}.weak.network");
            problems.extend(weak.network.problems(&key, declared.shape, declared.classes));
            if weak.network.reads_text() != network.reads_text() {
                let message = ": must be conditioned on what the main network is, on labels or on text";
                add(&mut problems, format!("{key}.kind"), message);
            }
        }
        let guided = sample.sampler.guidance.as_ref().is_some_and(|guidance| guidance.is_active());
        if guided && !network.has_null_condition() {
            add(&mut problems, format!("{path}.sampler.guidance"), ": the network has no null condition");
        }
        problems.extend(self.weak_guidance_problems(path));
        if let Some(decoder) = &sample.decoder {
            problems.extend(decoder.weights.problems(&format!("{path}.decoder.weights")));
            let path = format!("{path}.decoder.network");
            problems.extend(decoder.network.problems(&path));
            if let Some([channels, height, width]) = declared.shape {
                let mut must = |key, is: usize, want: usize| {
                    let must = format!("must be {want}, as in the data");
                    Problem::unless(&mut problems, is == want, &path, key, is, must);
                };
                must("hidden_size", decoder.network.hidden_size, channels);
                must("num_patches", decoder.network.num_patches, height * width);
            }
        }
        if sample.decoder.is_some() && !matches!(network, NetworkConfig::Rae(_)) {
            add(&mut problems, format!("{path}.decoder"), ": belongs to a network of kind \"rae\"");
        }
        if let Some(autoencoder) = &sample.autoencoder {
            problems.extend(autoencoder.weights.problems(&format!("{path}.autoencoder.weights")));
            let key = format!("{path}.autoencoder.network");
            problems.extend(autoencoder.network.problems(&key));
            if let Some([channels, _, _]) = declared.shape {
                let (found, must) =
                    (autoencoder.network.latent_channels, format!("must be {channels}, as in the data"));
                Problem::unless(&mut problems, found == channels, &key, "latent_channels", found, must);
            }
            if self.data.form() != Form::Latents {
                add(&mut problems, format!("{path}.autoencoder"), ": decodes latents, which the data are not");
            }
            if sample.decoder.is_some() {
                add(&mut problems, format!("{path}.autoencoder"), ": cannot stand beside `decoder`, which decodes too");
            }
        }
        problems.extend(self.pixel_rule_problems(path));
        problems.extend(self.prompt_problems(&format!("{path}.prompts")));
        problems
    }

    fn weak_guidance_problems(&self, path: &str) -> Vec<Problem> {
        let (sample, mut problems) = (&self.sample, Vec::new());
        let autoguided =
            |guidance: &Option<WeakGuidanceConfig>| matches!(guidance, Some(WeakGuidanceConfig::Autoguidance { .. }));
        let used = autoguided(&sample.sampler.weak_guidance)
            || self.compare.samplers.iter().any(|sampler| autoguided(&sampler.weak_guidance));
        match (&sample.sampler.weak_guidance, &sample.weak) {
            (Some(WeakGuidanceConfig::Autoguidance { .. }), None) => {
                add(&mut problems, format!("{path}.weak"), ": autoguidance needs a second network");
            }
            (_, Some(_)) if !used => {
                add(
                    &mut problems,
                    format!("{path}.weak"),
                    ": would be ignored without autoguidance in `sample.sampler.weak_guidance` or in one of `compare.samplers`",
                );
            }
            (Some(WeakGuidanceConfig::SkipLayer { .. }), None) => match &self.network {
                NetworkConfig::Mmdit(mmdit) => {
                    let (layers, depth) = (&sample.skipped_layers, mmdit.depth);
                    let inside = !layers.is_empty() && layers.iter().all(|layer| *layer < depth);
                    let must = format!("must be among the {depth} blocks of the network");
                    Problem::unless(&mut problems, inside, path, "skipped_layers", format!("{layers:?}"), must);
                }
                _ => {
                    let message = ": only a network of kind \"mmdit\" can skip layers";
                    add(&mut problems, format!("{path}.sampler.weak_guidance"), message);
                }
            },
            _ => {}
        }
        problems
    }
}
