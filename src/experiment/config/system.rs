//! Post-training of an official checkpoint: load, train, sample, write back.
use super::file::configuration_file;
use super::{DeviceName, GammaSearchConfig, StageConfig, add};
use crate::Problem;
use crate::data::LatentsConfig;
use crate::models::NetworkConfig;
use crate::models::rae::RaeDecoderConfig;
use crate::models::weights::{ImportOptions, WeightSource};
use crate::path::{PathConfig, PredictionKind, TrainingInterval};
use crate::sample::{SamplerConfig, WeakGuidanceConfig};
use crate::train::{LossWeight, Objective};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to do with an official checkpoint of SiT, REPA, RAE or Stable Diffusion 3.5.
///
/// File names are relative to the folder the program runs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemConfig {
    /// Where the JSON schema lies; for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// `["cpu"]`, or one or several of `"cuda:N"`, `"wgpu:N"`: several share each batch.
    #[serde(default = "default_devices")]
    pub devices: Vec<DeviceName>,
    /// The folder of latents.
    pub data: LatentsConfig,
    /// The network: its sizes must be those of the file.
    pub network: NetworkConfig,
    /// The official weights to start from.
    pub weights: WeightsConfig,
    /// The interpolation path the weights were trained on.
    #[serde(default)]
    pub path: PathConfig,
    /// What the network predicts.
    #[serde(default)]
    pub prediction: PredictionKind,
    /// The weight of a noise or score error.
    #[serde(default)]
    pub loss_weight: LossWeight,
    /// The training. Its strategy is standard flow matching unless it names another.
    pub post_train: StageConfig,
    /// The samples drawn afterwards.
    pub sample: GenerateConfig,
    /// How γ is chosen where `post_train.strategy` says `"gamma": "auto"`, by the energy distance of latents.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub gamma_search: GammaSearchConfig,
}

/// A file of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsConfig {
    /// `.safetensors`, or `.pt` as the official training saves it.
    pub file: PathBuf,
    /// Which set of a checkpoint: its EMA if it has one, unless told otherwise.
    #[serde(default)]
    pub source: WeightSource,
    /// Official names of parameters the file need not have; `projectors` allows all `projectors.*`.
    #[serde(default)]
    pub allow_missing: Vec<String>,
    /// Official names of tensors of the file the model need not have; `decoder` allows all `decoder.*`.
    #[serde(default)]
    pub allow_unused: Vec<String>,
}

impl WeightsConfig {
    /// As the importer takes it.
    pub fn options(&self) -> ImportOptions {
        ImportOptions {
            source: self.source,
            allow_missing: self.allow_missing.clone(),
            allow_unused: self.allow_unused.clone(),
        }
    }
}

/// The labels of generated samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelSampling {
    /// Uniform over the classes, as SiT and REPA do.
    #[default]
    Random,
    /// Every class equally often, as RAE does: sample `i` has label `i mod classes`.
    Equal,
}

/// The samples drawn after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateConfig {
    /// How many. At least 1.
    #[schemars(range(min = 1))]
    pub count: usize,
    /// The seed of noise and labels.
    #[serde(default)]
    pub seed: u64,
    /// The labels; text-conditioned networks take the texts of the held-out items in turn.
    #[serde(default)]
    pub labels: LabelSampling,
    /// Solver, steps, guidance.
    pub sampler: SamplerConfig,
    /// The weak network of autoguidance.
    #[serde(default)]
    pub weak: Option<WeakConfig>,
    /// The blocks that skip-layer guidance skips; those of the Stable Diffusion 3.5 reference if left out.
    #[serde(default = "default_skipped_layers")]
    pub skipped_layers: Vec<usize>,
    /// RAE's decoder, so that samples become pictures.
    #[serde(default)]
    pub decoder: Option<DecoderConfig>,
}

/// The second network of autoguidance: smaller, or less trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeakConfig {
    /// Its sizes.
    pub network: NetworkConfig,
    /// Its weights.
    pub weights: WeightsConfig,
}

/// RAE's decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Its sizes.
    #[serde(default)]
    pub network: RaeDecoderConfig,
    /// Its weights.
    pub weights: WeightsConfig,
}

fn default_skipped_layers() -> Vec<usize> {
    vec![7, 8, 9]
}

fn default_devices() -> Vec<DeviceName> {
    vec![DeviceName::default()]
}

/// The distance that latents are compared by.
pub(crate) const ENERGY_DISTANCE: &str = "energy_distance";

configuration_file!(SystemConfig);

impl SystemConfig {
    /// Every value that violates a condition.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.data.problems("data");
        if self.devices.is_empty() {
            add(&mut problems, "devices".into(), ": must name at least one device");
        }
        for (i, device) in self.devices.iter().enumerate() {
            problems.extend(device.problems(&format!("devices[{i}]")));
        }
        problems.extend(self.network.problems("network", self.data.shape, self.data.classes));
        if self.network.reads_text() != self.data.text.is_some() {
            let message = match self.network.reads_text() {
                true => ": this network is conditioned on text embeddings, name their folder",
                false => ": this network does not read text embeddings",
            };
            add(&mut problems, "data.text".into(), message);
        }
        if let NetworkConfig::Repa(repa) = &self.network {
            let (folders, encoders) = (self.data.features.len(), repa.z_dims.len());
            let fits = folders == encoders || folders == 0;
            let message = format!(
                "folder(s): must be one for each of the {encoders} encoders, or none to train without alignment"
            );
            Problem::unless(&mut problems, fits, "data", "features", folders, message);
        } else if !self.data.features.is_empty() {
            add(&mut problems, "data.features".into(), ": only a network of kind \"repa\" reads them");
        }
        problems.extend(self.gamma_search.problems("gamma_search", &self.post_train));
        if self.gamma_search.distance.as_ref().is_some_and(|distance| distance != ENERGY_DISTANCE) {
            add(
                &mut problems,
                "gamma_search.distance".into(),
                format!(": must be {ENERGY_DISTANCE:?}, latents have no other"),
            );
        }
        for steps in self.gamma_search.steps.iter().flatten() {
            let sampler = SamplerConfig { steps: *steps, ..self.sample.sampler.clone() };
            problems.extend(sampler.problems("gamma_search"));
        }
        let post_train = StageConfig { strategy: self.post_train.strategy.with_auto(1.0), ..self.post_train.clone() };
        problems.extend(post_train.problems("post_train", self.path));
        let micro_batches = self.devices.len().max(1) * self.post_train.accumulation.max(1);
        let (batch, divides) = (self.post_train.batch_size, self.post_train.batch_size.is_multiple_of(micro_batches));
        let must = format!("must divide over devices × accumulation = {micro_batches}");
        Problem::unless(&mut problems, divides, "post_train", "batch_size", batch, must);
        let null = self.network.has_null_condition();
        if self.post_train.condition_dropout > 0.0 && !null {
            add(&mut problems, "post_train.condition_dropout".into(), ": the network has no null condition");
        }
        problems.extend(self.sample.problems("sample", &self.network, self.data.shape, self.data.classes));
        problems
    }

    /// What predictions are compared with.
    pub fn objective(&self) -> Objective {
        Objective {
            path: self.path.build(),
            prediction: self.prediction,
            target: self.post_train.target,
            weight: self.loss_weight,
            interval: TrainingInterval::training(self.path, self.prediction),
        }
    }
}

impl GenerateConfig {
    fn problems(&self, path: &str, network: &NetworkConfig, shape: [usize; 3], classes: usize) -> Vec<Problem> {
        let mut problems = self.sampler.problems(&format!("{path}.sampler"));
        Problem::unless(&mut problems, self.count > 0, path, "count", self.count, "must be at least 1");
        if let Some(weak) = &self.weak {
            problems.extend(weak.network.problems(&format!("{path}.weak.network"), shape, classes));
            if weak.network.reads_text() != network.reads_text() {
                let message = ": must be conditioned on what the main network is, on labels or on text";
                add(&mut problems, format!("{path}.weak.network.kind"), message);
            }
        }
        let guided = self.sampler.guidance.as_ref().is_some_and(|guidance| guidance.is_active());
        if guided && !network.has_null_condition() {
            add(&mut problems, format!("{path}.sampler.guidance"), ": the network has no null condition");
        }
        match (&self.sampler.weak_guidance, &self.weak) {
            (Some(WeakGuidanceConfig::Autoguidance { .. }), None) => {
                add(&mut problems, format!("{path}.weak"), ": autoguidance needs a second network");
            }
            (Some(WeakGuidanceConfig::Autoguidance { .. }), Some(_)) => {}
            (_, Some(_)) => add(&mut problems, format!("{path}.weak"), ": would be ignored without autoguidance"),
            (Some(WeakGuidanceConfig::SkipLayer { .. }), None) => match network {
                NetworkConfig::Mmdit(mmdit) => {
                    let (layers, depth) = (&self.skipped_layers, mmdit.depth);
                    let inside = !layers.is_empty() && layers.iter().all(|layer| *layer < depth);
                    let must = format!("must be among the {depth} blocks of the network");
                    Problem::unless(&mut problems, inside, path, "skipped_layers", format!("{layers:?}"), must);
                }
                _ => {
                    let message = ": only a network of kind \"mmdit\" can skip layers";
                    add(&mut problems, format!("{path}.sampler.weak_guidance"), message);
                }
            },
            (None, None) => {}
        }
        if let Some(decoder) = &self.decoder {
            let path = format!("{path}.decoder.network");
            let (decoder, [channels, height, width]) = (&decoder.network, shape);
            problems.extend(decoder.problems(&path));
            let mut must = |key, is: usize, want: usize| {
                Problem::unless(&mut problems, is == want, &path, key, is, format!("must be {want}, as in the data"));
            };
            must("hidden_size", decoder.hidden_size, channels);
            must("num_patches", decoder.num_patches, height * width);
        }
        if self.decoder.is_some() && !matches!(network, NetworkConfig::Rae(_)) {
            add(&mut problems, format!("{path}.decoder"), ": belongs to a network of kind \"rae\"");
        }
        problems
    }
}
