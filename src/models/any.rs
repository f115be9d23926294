//! The networks that JSON can name, behind one type.
use super::kept_in_f32;
use super::layers::count;
#[cfg(feature = "experiment")]
use super::layers::product;
use super::mmdit::{self, Mmdit, MmditConfig};
use super::rae::{self, Rae, RaeConfig};
use super::repa::{self, Repa, RepaCondition, RepaConfig};
#[cfg(feature = "experiment")]
use super::size_limit::{self, SizeKey};
use super::weights::{
    AdapterLayouts, ExportType, ImportOptions, ImportReport, KeyMap, Part, add_adapter, export_adapter,
    export_safetensors_as, import,
};
use super::{NetworkCondition, ResidualMlp, ResidualMlpConfig, Sit, SitConfig, sit};
use crate::adapter::{AdapterConfig, Layer, LoraConfig, misfits};
use crate::network::{Prediction, PredictionNetwork};
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Which network a run trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// A small residual MLP over the flattened image, for a CPU.
    ResidualMlp(ResidualMlpConfig),
    /// SiT, the transformer of arXiv 2401.08740.
    Sit(SitConfig),
    /// REPA's SiT, with projectors that align it with features of an image encoder (arXiv 2410.06940).
    Repa(RepaConfig),
    /// RAE's DiT^DH, on the features of an image encoder (arXiv 2510.11690).
    Rae(RaeConfig),
    /// The MMDiT-X of Stable Diffusion 3.5.
    Mmdit(MmditConfig),
}

impl NetworkConfig {
    /// Everything wrong with this network for data `[channels, height, width]` of `classes` classes, as far as these are
    /// known.
    pub fn problems(&self, path: &str, shape: Option<[usize; 3]>, classes: Option<usize>) -> Vec<Problem> {
        let mut problems = match self {
            Self::ResidualMlp(c) => c.problems(path),
            Self::Sit(c) => c.problems(path),
            Self::Repa(c) => c.problems(path),
            Self::Rae(c) => c.problems(path),
            Self::Mmdit(c) => c.problems(path),
        };
        problems.extend(shape.iter().flat_map(|shape| self.shape_problems(path, *shape)));
        if let (Some(labels), Some(classes)) = (self.sizes().2, classes) {
            let enough = labels == classes || !matches!(self, Self::ResidualMlp(_)) && labels > classes;
            let wanted = format!("the data have {classes} classes, for latents by `data.classes`");
            Problem::unless(&mut problems, enough, path, "num_classes", labels, wanted);
        }
        problems
    }

    fn shape_problems(&self, path: &str, shape: [usize; 3]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut must = |key: &str, is: usize, want: usize| {
            Problem::unless(&mut problems, is == want, path, key, is, format!("must be {want}, as in the data"));
        };
        let (channels, size, _) = self.sizes();
        let (channel_key, size_key) = match self {
            Self::ResidualMlp(_) => ("channels", "size"),
            _ => ("in_channels", "input_size"),
        };
        must(channel_key, channels, shape[0]);
        if let Some(size) = size {
            let side = if shape[1] == size { shape[2] } else { shape[1] };
            must(size_key, size, side);
        }
        if let Self::Mmdit(c) = self {
            for side in [shape[1], shape[2]] {
                let fits = c.patch_size > 0 && side.is_multiple_of(c.patch_size);
                Problem::unless(
                    &mut problems,
                    fits,
                    path,
                    "patch_size",
                    c.patch_size,
                    format!("must divide {side}, as the data are"),
                );
                let enough = c.patch_size.saturating_mul(c.pos_embed_max_size) >= side;
                let needed = format!("times patch_size must be at least {side}, as the data are");
                Problem::unless(&mut problems, enough, path, "pos_embed_max_size", c.pos_embed_max_size, needed);
                if shape[1] == shape[2] {
                    break;
                }
            }
        }
        problems
    }

    /// Channels, side of the image and number of classes, where the network fixes them.
    fn sizes(&self) -> (usize, Option<usize>, Option<usize>) {
        match self {
            Self::ResidualMlp(c) => (c.channels, Some(c.size), Some(c.num_classes)),
            Self::Sit(c) => (c.in_channels, Some(c.input_size), Some(c.num_classes)),
            Self::Repa(c) => (c.in_channels, Some(c.input_size), Some(c.num_classes)),
            Self::Rae(c) => (c.in_channels, Some(c.input_size), Some(c.num_classes)),
            Self::Mmdit(c) => (c.in_channels, None, None),
        }
    }

    /// The number of classes, where the network fixes it.
    pub fn classes(&self) -> Option<usize> {
        self.sizes().2
    }

    /// Whether the network has a null condition, which dropout and guidance need. That of [`Self::Mmdit`] lies in
    /// the data: the embeddings of the empty prompt.
    pub fn has_null_condition(&self) -> bool {
        match self {
            Self::ResidualMlp(c) => c.num_classes > 0,
            Self::Sit(c) => c.class_dropout_prob > 0.0,
            Self::Repa(c) => c.class_dropout_prob > 0.0,
            Self::Rae(c) => c.class_dropout_prob > 0.0,
            Self::Mmdit(_) => true,
        }
    }

    /// Whether the network reads text embeddings instead of labels.
    pub fn reads_text(&self) -> bool {
        matches!(self, Self::Mmdit(_))
    }

    /// The parameters of the network that [`init`](Self::init) makes, counted without making it.
    pub fn parameter_count(&self) -> ParameterCount {
        let (all, fixed) = match self {
            Self::ResidualMlp(c) => (c.numbers(), 0),
            Self::Sit(c) => (c.numbers(), count(&c.parameters(), is_position)),
            Self::Repa(c) => (c.numbers(), count(&c.parameters(), is_position)),
            Self::Rae(c) => (c.numbers(), count(&c.parameters(), |name| c.is_fixed(name))),
            Self::Mmdit(c) => (c.numbers(), count(&c.parameters(), is_position)),
        };
        ParameterCount { all, trained: all.saturating_sub(fixed) }
    }

    /// The linear layers of the network, listed without making it.
    fn linear_layers(&self) -> Vec<Layer> {
        let (parameters, names) = match self {
            Self::ResidualMlp(c) => (c.parameters(), KeyMap::default()),
            Self::Sit(c) => (c.parameters(), KeyMap(sit::OFFICIAL_NAMES)),
            Self::Repa(c) => (c.parameters(), KeyMap(repa::OFFICIAL_NAMES)),
            Self::Rae(c) => (c.parameters(), KeyMap(rae::OFFICIAL_NAMES)),
            Self::Mmdit(c) => (c.parameters(), KeyMap(mmdit::OFFICIAL_NAMES)),
        };
        // A table of embeddings has no bias.
        let biases: BTreeSet<&str> = parameters.iter().filter_map(|(name, _)| name.strip_suffix(".bias")).collect();
        let of = |(name, shape): &(String, Vec<usize>)| {
            let (layer, [outputs, inputs]) =
                (name.strip_suffix(".weight")?, <[usize; 2]>::try_from(shape.as_slice()).ok()?);
            biases.contains(layer).then(|| Layer { path: names.to_module(layer), sides: [inputs, outputs] })
        };
        parameters.iter().filter_map(of).collect()
    }

    /// The numbers of the adapters that this network would get, counted without making it.
    pub fn adapter_count(&self, adapter: &AdapterConfig) -> u128 {
        let AdapterConfig::Lora(LoraConfig { rank, .. }) = adapter;
        let numbers = |Layer { sides, .. }: Layer| {
            sides.iter().fold(0_u128, |all, side| all.saturating_add(*side as u128)).saturating_mul(*rank as u128)
        };
        let adapted = self.linear_layers().into_iter().filter(|layer| adapter.is_for(layer));
        adapted.map(numbers).fold(0, u128::saturating_add)
    }

    /// Why this network cannot have the adapters, with keys below `path`.
    pub fn adapter_problems(&self, adapter: &AdapterConfig, path: &str) -> Vec<Problem> {
        misfits(adapter, &self.linear_layers(), path)
    }

    /// Numbers of one sample that every backward pass needs of the forward pass before it, at least: what enters each
    /// block.
    #[cfg(feature = "experiment")]
    pub(crate) fn kept_for_backward(&self, shape: [usize; 3]) -> u128 {
        let blocks = |depth: usize, tokens: usize, width: usize| {
            [depth, tokens, width].into_iter().fold(1_u128, |all, size| all.saturating_mul(size as u128))
        };
        let tokens = |side: usize, patch: usize| product([side / patch.max(1), side / patch.max(1)]);
        match self {
            Self::ResidualMlp(c) => blocks(c.depth, 1, c.width),
            Self::Sit(c) => blocks(c.depth, tokens(c.input_size, c.patch_size), c.hidden_size),
            Self::Repa(c) => blocks(c.depth, tokens(c.input_size, c.patch_size), c.hidden_size),
            Self::Rae(c) => {
                let tokens = tokens(c.input_size, 1);
                blocks(c.depth[0], tokens, c.hidden_size[0]).saturating_add(blocks(
                    c.depth[1],
                    tokens,
                    c.hidden_size[1],
                ))
            }
            Self::Mmdit(c) => {
                let patch = c.patch_size.max(1);
                blocks(c.depth, product([shape[1] / patch, shape[2] / patch]), c.width())
            }
        }
    }

    /// The size that the network would be least without.
    #[cfg(feature = "experiment")]
    pub(crate) fn heaviest_size(&self) -> Option<SizeKey> {
        size_limit::heaviest(self, |network: &Self| network.parameter_count().all)
    }

    /// The network with weights that are a pure function of `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Network> {
        Ok(match self {
            Self::ResidualMlp(c) => Network::ResidualMlp(c.init_seeded(seed, device)?),
            Self::Sit(c) => Network::Sit(c.init_seeded(seed, device)?),
            Self::Repa(c) => Network::Repa(c.init_seeded(seed, device)?),
            Self::Rae(c) => Network::Rae(c.init_seeded(seed, device)?),
            Self::Mmdit(c) => Network::Mmdit(c.init_seeded(seed, device)?),
        })
    }
}

/// How many numbers a network holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterCount {
    /// All, as Burn's `num_params` counts them: fixed positions and rotary tables included. The largest number there is
    /// where they are more.
    pub all: u128,
    /// Those that are trained.
    pub trained: u128,
}

/// Whether a parameter is the fixed positions of a SiT or an MMDiT.
fn is_position(name: &str) -> bool {
    name == "pos_embed"
}

/// A network made from a [`NetworkConfig`].
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Network {
    /// See [`ResidualMlp`].
    ResidualMlp(ResidualMlp),
    /// See [`Sit`].
    Sit(Sit),
    /// See [`Repa`].
    Repa(Repa),
    /// See [`Rae`].
    Rae(Rae),
    /// See [`Mmdit`].
    Mmdit(Mmdit),
}

impl Network {
    /// A copy with the weights of an official file.
    ///
    /// # Errors
    /// As [`import`]; the network itself is unchanged.
    pub fn import(&self, file: &Path, options: &ImportOptions) -> Result<(Self, ImportReport)> {
        let names = self.names();
        Ok(match self {
            Self::ResidualMlp(n) => import(n, file, options, names).map(|(n, r)| (Self::ResidualMlp(n), r))?,
            Self::Sit(n) => import(n, file, options, names).map(|(n, r)| (Self::Sit(n), r))?,
            Self::Repa(n) => import(n, file, options, names).map(|(n, r)| (Self::Repa(n), r))?,
            Self::Rae(n) => import(n, file, options, names).map(|(n, r)| (Self::Rae(n), r))?,
            Self::Mmdit(n) => import(n, file, options, names).map(|(n, r)| (Self::Mmdit(n), r))?,
        })
    }

    /// Writes the weights as safetensors with official names and layouts.
    ///
    /// # Errors
    /// As [`export_safetensors_as`].
    pub fn export(&self, file: &Path) -> Result<()> {
        self.export_as(file, ExportType::Kept)
    }

    /// As [`export`](Self::export), with numbers of another type.
    ///
    /// # Errors
    /// As [`export_safetensors_as`].
    pub fn export_as(&self, file: &Path, as_type: ExportType) -> Result<()> {
        let names = self.names();
        match self {
            Self::ResidualMlp(n) => export_safetensors_as(n, file, names, as_type),
            Self::Sit(n) => export_safetensors_as(n, file, names, as_type),
            Self::Repa(n) => export_safetensors_as(n, file, names, as_type),
            Self::Rae(n) => export_safetensors_as(n, file, names, as_type),
            Self::Mmdit(n) => export_safetensors_as(n, file, names, as_type),
        }
    }

    /// Writes its adapters as PEFT and, for an MMDiT, diffusers read them; see [`export_adapter`].
    ///
    /// # Errors
    /// As [`export_adapter`].
    pub fn export_adapter(&self, config: &AdapterConfig, folder: &Path) -> Result<()> {
        let diffusers = |layer: &str| self.diffusers(layer);
        let layouts = AdapterLayouts { names: self.names(), diffusers: &diffusers };
        match self {
            Self::ResidualMlp(n) => export_adapter(n, config, folder, &layouts),
            Self::Sit(n) => export_adapter(n, config, folder, &layouts),
            Self::Repa(n) => export_adapter(n, config, folder, &layouts),
            Self::Rae(n) => export_adapter(n, config, folder, &layouts),
            Self::Mmdit(n) => export_adapter(n, config, folder, &layouts),
        }
    }

    /// A copy with an adapter of PEFT or diffusers added to its weights, and how many layers that changed.
    ///
    /// # Errors
    /// As [`add_adapter`].
    pub fn add_adapter(&self, path: &Path) -> Result<(Self, usize)> {
        let diffusers = |layer: &str| self.diffusers(layer);
        let layouts = AdapterLayouts { names: self.names(), diffusers: &diffusers };
        Ok(match self {
            Self::ResidualMlp(n) => add_adapter(n, path, &layouts).map(|(n, count)| (Self::ResidualMlp(n), count))?,
            Self::Sit(n) => add_adapter(n, path, &layouts).map(|(n, count)| (Self::Sit(n), count))?,
            Self::Repa(n) => add_adapter(n, path, &layouts).map(|(n, count)| (Self::Repa(n), count))?,
            Self::Rae(n) => add_adapter(n, path, &layouts).map(|(n, count)| (Self::Rae(n), count))?,
            Self::Mmdit(n) => add_adapter(n, path, &layouts).map(|(n, count)| (Self::Mmdit(n), count))?,
        })
    }

    /// What diffusers calls an official layer.
    fn diffusers(&self, layer: &str) -> Option<Vec<Part>> {
        match self {
            Self::Mmdit(n) => mmdit::diffusers_parts(layer, n.joint_blocks.len()),
            _ => None,
        }
    }

    /// The network without some of its blocks, sharing all weights: what skip-layer guidance steers away from.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a network other than [`Mmdit`].
    pub fn skipping(&self, blocks: &[usize]) -> Result<Self> {
        match self {
            Self::Mmdit(n) => Ok(Self::Mmdit(n.skipping(blocks))),
            _ => Err(Error::Invalid("only an MMDiT can skip blocks".into())),
        }
    }

    fn names(&self) -> KeyMap<'static> {
        KeyMap(match self {
            Self::ResidualMlp(_) => &[],
            Self::Sit(_) => sit::OFFICIAL_NAMES,
            Self::Repa(_) => repa::OFFICIAL_NAMES,
            Self::Rae(_) => rae::OFFICIAL_NAMES,
            Self::Mmdit(_) => mmdit::OFFICIAL_NAMES,
        })
    }
}

impl PredictionNetwork<4> for Network {
    type Condition = NetworkCondition;
    const KEPT_IN_F32: &'static [&'static str] = &kept_in_f32::BY_ANY;

    /// # Panics
    /// If an MMDiT is given no text embeddings.
    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &NetworkCondition) -> Prediction<4> {
        let NetworkCondition { labels, features, text } = condition;
        match self {
            Self::ResidualMlp(n) => n.predict(noisy, timestep, labels),
            Self::Sit(n) => n.predict(noisy, timestep, labels),
            Self::Repa(n) => {
                let condition = RepaCondition { labels: labels.clone(), features: features.clone() };
                n.predict(noisy, timestep, &condition)
            }
            Self::Rae(n) => n.predict(noisy, timestep, labels),
            Self::Mmdit(n) => {
                n.predict(noisy, timestep, text.as_ref().expect("an MMDiT is conditioned on text embeddings"))
            }
        }
    }

    fn drop_condition(&self, condition: &NetworkCondition, dropped: &[bool]) -> Option<NetworkCondition> {
        let labels = &condition.labels;
        let labels = match self {
            Self::ResidualMlp(n) => PredictionNetwork::<4>::drop_condition(n, labels, dropped)?,
            Self::Sit(n) => n.drop_condition(labels, dropped)?,
            Self::Repa(n) => {
                let condition = RepaCondition { labels: labels.clone(), features: Vec::new() };
                n.drop_condition(&condition, dropped)?.labels
            }
            Self::Rae(n) => n.drop_condition(labels, dropped)?,
            Self::Mmdit(n) => {
                let text = n.drop_condition(condition.text.as_ref()?, dropped)?;
                return Some(NetworkCondition { text: Some(text), ..condition.clone() });
            }
        };
        Some(NetworkCondition { labels, ..condition.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{ModuleVisitor, Param};
    use serde_json::{Value, json};

    /// Counts what a gradient is asked for.
    struct Trained(u128);

    impl ModuleVisitor for Trained {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += if param.val().is_require_grad() { param.shape().num_elements() as u128 } else { 0 };
        }
    }

    fn network(kind: &str, sizes: Value) -> NetworkConfig {
        let mut whole = sizes;
        whole["kind"] = kind.into();
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn adapters_are_counted_as_they_are_attached() {
        let sit = json!({"input_size": 4, "hidden_size": 8, "depth": 2, "num_heads": 2, "num_classes": 3});
        let rae = json!({"input_size": 3, "in_channels": 2, "hidden_size": [8, 12], "depth": [2, 1], "num_heads": [2, 1],
            "num_classes": 3});
        let mmdit = json!({"input_size": 4, "in_channels": 3, "depth": 2, "pos_embed_max_size": 4, "pooled_width": 6,
            "context_width": 5, "mlp_ratio": 0.5, "dual_attention": [1]});
        let mut repa = sit.clone();
        (repa["encoder_depth"], repa["projector_dim"]) = (1.into(), 7.into());
        let mlp = json!({"size": 3, "width": 6, "expansion": 2, "embedding": 4, "num_classes": 2});
        for (kind, sizes) in [("residual_mlp", mlp), ("sit", sit), ("repa", repa), ("rae", rae), ("mmdit", mmdit)] {
            let (config, device) = (network(kind, sizes), burn::tensor::Device::flex());
            for matching in [json!([]), json!(["blocks"]), json!(["modulation"]), json!(["attn.qkv", "mlp"])] {
                let lora = json!({"kind": "lora", "rank": 1, "match": matching});
                let adapter: AdapterConfig = serde_json::from_value(lora).unwrap();
                let base = config.init(0, &device).unwrap();
                let before = base.num_params() as u128;
                let expected = crate::adapter::attach(base, &adapter, &[], 0).map(|n| n.num_params() as u128 - before);
                assert_eq!(config.adapter_count(&adapter), expected.unwrap_or(0), "{kind} {matching}");
            }
        }
    }

    #[test]
    fn the_count_is_that_of_the_network_for_every_model() {
        let sit = json!({"input_size": 4, "hidden_size": 8, "depth": 2, "num_heads": 2, "num_classes": 3});
        let with = |mut sizes: Value, key: &str, value: Value| {
            sizes[key] = value;
            sizes
        };
        let repa = with(with(sit.clone(), "encoder_depth", json!(1)), "projector_dim", json!(7));
        let rae = json!({"input_size": 3, "in_channels": 2, "hidden_size": [8, 12], "depth": [2, 1], "num_heads": [2, 1],
            "num_classes": 3});
        let mmdit = json!({"input_size": 4, "in_channels": 3, "depth": 2, "pos_embed_max_size": 4, "pooled_width": 6,
            "context_width": 5, "mlp_ratio": 0.5, "dual_attention": [1]});
        for config in [
            network("residual_mlp", json!({"size": 3, "width": 6, "expansion": 2, "embedding": 4})),
            network("residual_mlp", json!({"size": 3, "width": 6, "embedding": 4, "num_classes": 5})),
            network("sit", sit.clone()),
            network("sit", with(with(sit, "class_dropout_prob", json!(0)), "learn_sigma", json!(false))),
            network("repa", with(repa.clone(), "z_dims", json!([6, 5]))),
            network("repa", with(repa, "qk_norm", json!(true))),
            network("rae", rae.clone()),
            network("rae", with(rae.clone(), "train_embeddings", json!(false))),
            network("rae", with(with(rae, "hidden_size", json!([8, 8])), "use_qknorm", json!(true))),
            network("mmdit", mmdit.clone()),
            network("mmdit", with(with(mmdit, "pooled_width", Value::Null), "qk_norm", json!(false))),
        ] {
            let built = config.init(0, &Device::flex().autodiff()).unwrap();
            let counted = config.parameter_count();
            assert_eq!(counted.all, built.num_params() as u128, "{config:?}");
            let mut trained = Trained(0);
            built.visit(&mut trained);
            assert_eq!(counted.trained, trained.0, "{config:?}");
        }
    }
}
