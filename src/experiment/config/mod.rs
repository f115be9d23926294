//! One file describes an experiment; every command reads the same one, and every section is checked whole.
//!
//! ```
//! use burn_mixflow::experiment::config::ExperimentConfig;
//! let error = ExperimentConfig::parse(r#"{
//!     "data": {"kind": "photos"},
//!     "network": {"kind": "residual_mlp", "channels": 1, "size": 16},
//!     "post_train": {"strategy": {"kind": "mixflow", "gamma": 1.1}}
//! }"#).unwrap_err();
//! assert!(error.to_string().contains("post_train.strategy.gamma = 1.1: must be in [0, 1]"));
//! ```
mod auto_gamma;
mod compare;
mod definition;
mod editor_schema;
mod flow;
mod gamma_search;
mod keys;
mod origin;
mod pictures;
mod probe;
mod prompts;
mod read;
mod retired;
mod sample;
mod slow_flow;
mod start;

pub use compare::{Arm, ArmConfig, ArmSampler, ArmWeights, CompareConfig, GfidConfig, Reference};
pub(crate) use compare::{CONTROL, MIXFLOW, NO_FIXED_STEPS, NONE};
pub use definition::Definition;
pub use flow::FlowConfig;
pub use gamma_search::GammaSearchConfig;
pub use probe::ProbeConfig;
pub use prompts::{PromptsConfig, TextConfig};
pub use sample::{AutoencoderConfig, DecoderConfig, LabelSampling, SampleConfig, WeakConfig};
pub use start::{ExactConfig, RunConfig, StartConfig, WeightsConfig};

use crate::Problem;
use crate::data::DataConfig;
use crate::models::NetworkConfig;
use crate::post_train::{DeviceName, StageConfig};
use crate::timestep::StrategyConfig;
use crate::train::TargetTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An experiment: data and network, where the weights come from, how they are post-trained, sampled and compared.
///
/// File names are relative to the folder the program runs in, but for `extends`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Where the JSON schema lies; for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// A file whose keys hold where this one has none (RFC 7396), relative to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// `["cpu"]`, or one or several of `"cuda:N"`, `"wgpu:N"`: several share each batch.
    #[serde(default = "one_cpu")]
    pub devices: Vec<DeviceName>,
    /// The data.
    pub data: DataConfig,
    /// The network.
    pub network: NetworkConfig,
    /// What it learns.
    #[serde(default)]
    pub flow: FlowConfig,
    /// Where its weights come from.
    #[serde(default)]
    pub start: StartConfig,
    /// Post-training. In `compare`, the control is the same stage with the standard strategy.
    #[serde(default)]
    pub post_train: StageConfig,
    /// The table of arms.
    #[serde(default)]
    pub compare: CompareConfig,
    /// How γ is chosen.
    #[serde(default)]
    pub gamma_search: GammaSearchConfig,
    /// How Slow Flow is measured.
    #[serde(default)]
    pub slow_flow: ProbeConfig,
    /// What is generated.
    #[serde(default)]
    pub sample: SampleConfig,
    /// Whether the file says `"gamma": "auto"` in `post_train.strategy`.
    #[serde(skip)]
    gamma_is_auto: bool,
}

fn one_cpu() -> Vec<DeviceName> {
    vec![DeviceName::default()]
}

impl ExperimentConfig {
    /// Every value that violates a condition or would be ignored.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.data.problems("data");
        if self.devices.is_empty() {
            add(&mut problems, "devices".into(), ": must name at least one device");
        }
        for (i, device) in self.devices.iter().enumerate() {
            problems.extend(device.problems(&format!("devices[{i}]")));
        }
        problems.extend(DeviceName::strangers("devices", &self.devices));
        problems.extend(self.network_problems());
        problems.extend(self.flow.problems("flow"));
        problems.extend(self.start.problems("start"));
        for (path, stage) in
            self.start.pretrain().map(|stage| ("start", stage)).into_iter().chain([("post_train", &self.post_train)])
        {
            problems.extend(self.stage_problems(path, stage));
        }
        let pretrain = self.start.pretrain();
        if pretrain.is_some_and(|stage| stage.strategy != StrategyConfig::standard()) {
            let message = ": must be {\"kind\": \"standard\"}; the strategy under test belongs to post_train";
            add(&mut problems, "start.strategy".into(), message);
        }
        problems.extend(self.adapter_problems());
        problems.extend(self.compare_problems("compare"));
        problems.extend(self.gamma_search_problems("gamma_search"));
        problems.extend(self.slow_flow_problems("slow_flow"));
        problems.extend(self.sample_problems("sample"));
        problems
    }

    fn network_problems(&self) -> Vec<Problem> {
        let declared = self.data.declared();
        let mut problems = self.network.problems("network", declared.shape, declared.classes);
        let latents = self.data.latents();
        let texts = latents.is_some_and(|latents| latents.text.is_some());
        let features = latents.map_or(0, |latents| latents.features.len());
        if self.network.reads_text() && !texts {
            let message = ": needs text embeddings; name their folder in `data.text`";
            add(&mut problems, "network.kind".into(), message);
        } else if texts && !self.network.reads_text() {
            add(&mut problems, "data.text".into(), ": this network does not read text embeddings");
        }
        if let NetworkConfig::Repa(repa) = &self.network {
            let encoders = repa.z_dims.len();
            let fits = features == encoders || features == 0;
            let must = format!(
                "folder(s): must be one for each of the {encoders} encoders, or none to train without alignment"
            );
            Problem::unless(&mut problems, fits, "data", "features", features, must);
        } else if features > 0 {
            add(&mut problems, "data.features".into(), ": only a network of kind \"repa\" reads them");
        }
        problems
    }

    /// Adapters for layers that the network does not have.
    fn adapter_problems(&self) -> Vec<Problem> {
        if !self.network.problems("network", None, None).is_empty() {
            return Vec::new();
        }
        let arms = self.compare.arms.iter().enumerate().filter_map(|(i, arm)| {
            let adapter = arm.adapter.as_ref()?.as_ref()?;
            Some((format!("compare.arms[{i}].adapter"), adapter))
        });
        let own = self.post_train.adapter.iter().map(|adapter| ("post_train.adapter".to_string(), adapter));
        own.chain(arms).flat_map(|(path, adapter)| self.network.adapter_problems(adapter, &path)).collect()
    }

    fn stage_problems(&self, path: &str, stage: &StageConfig) -> Vec<Problem> {
        let mut problems = stage.problems(path, self.flow.path);
        let micro_batches = self.devices.len().max(1) * stage.accumulation.max(1);
        let (batch, divides) = (stage.batch_size, stage.batch_size.is_multiple_of(micro_batches));
        let must = format!("must divide over devices × accumulation = {micro_batches}");
        Problem::unless(&mut problems, divides, path, "batch_size", batch, must);
        if let Some(items) = self.data.declared().training {
            let must = format!("must be at most the {items} training items");
            Problem::unless(&mut problems, batch / micro_batches <= items, path, "batch_size", batch, must);
        }
        if self.flow.has_one_target() && stage.target != TargetTime::Slowed {
            let message = "would be ignored: on the linear path both velocity targets are the same";
            add(&mut problems, format!("{path}.target"), message);
        }
        if stage.condition_dropout > 0.0 && !self.network.has_null_condition() {
            let message = format!("= {}: the network has no null condition", stage.condition_dropout);
            add(&mut problems, format!("{path}.condition_dropout"), message);
        }
        problems
    }
}

fn add(problems: &mut Vec<Problem>, path: String, message: impl Into<String>) {
    problems.push(Problem { path, message: message.into() });
}

#[cfg(test)]
mod tests;
