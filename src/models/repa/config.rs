//! The sizes of a REPA model, its named models and its parameters, counted without allocating any.
use super::{Repa, RepaCondition, projector};
use crate::models::SitConfig;
use crate::models::layers::{ParameterList, WeightInit, as_size, count};
use crate::models::size_limit;
use crate::{Error, Problem, Result};
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of a [`Repa`]; the defaults are the official SiT-XL/2 at 256 pixels, aligned with DINOv2-B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepaConfig {
    /// Side of the (latent) image: pixels / 8 for the usual autoencoder.
    pub input_size: usize,
    /// Side of a patch; divides `input_size`.
    pub patch_size: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Width of the tokens; a multiple of 4 and of `num_heads`.
    pub hidden_size: usize,
    /// Width of the final layer in official configurations; if given it must be `hidden_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_hidden_size: Option<usize>,
    /// The number of blocks after which tokens are projected, in 1..=`depth`.
    pub encoder_depth: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Heads of the attention.
    pub num_heads: usize,
    /// Width of the MLP over `hidden_size`.
    pub mlp_ratio: f64,
    /// Probability of dropping a label in training; 0 means there is no null label and no guidance.
    pub class_dropout_prob: f64,
    /// Number of classes.
    pub num_classes: usize,
    /// Width of the features of each encoder.
    pub z_dims: Vec<usize>,
    /// Width of the hidden layers of a projector.
    pub projector_dim: usize,
    /// Whether attention norms its queries and keys.
    pub qk_norm: bool,
    /// Weight of the alignment loss beside the velocity loss; finite, at least 0.
    pub alignment_weight: f64,
}

impl Default for RepaConfig {
    fn default() -> Self {
        Self::over(SitConfig::default())
    }
}

impl RepaConfig {
    /// A model of the paper: `SiT-{B,L,XL}/{2,4,8}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other name. The official code lists `SiT-S` too, but its S models cannot run.
    pub fn named(name: &str) -> Result<Self> {
        if name.starts_with("SiT-S/") {
            return Err(Error::Invalid(format!("unknown model `{name}`: REPA has SiT-{{B,L,XL}}/{{2,4,8}}")));
        }
        Ok(Self::over(SitConfig::named(name)?))
    }

    /// REPA's own settings over the sizes of a SiT.
    fn over(trunk: SitConfig) -> Self {
        Self {
            input_size: trunk.input_size,
            patch_size: trunk.patch_size,
            in_channels: trunk.in_channels,
            hidden_size: trunk.hidden_size,
            decoder_hidden_size: None,
            encoder_depth: 8,
            depth: trunk.depth,
            num_heads: trunk.num_heads,
            mlp_ratio: trunk.mlp_ratio,
            class_dropout_prob: trunk.class_dropout_prob,
            num_classes: trunk.num_classes,
            z_dims: vec![768],
            projector_dim: 2048,
            qk_norm: false,
            alignment_weight: 0.5,
        }
    }

    /// The SiT that is aligned; it predicts no sigma.
    fn trunk(&self) -> SitConfig {
        SitConfig {
            input_size: self.input_size,
            patch_size: self.patch_size,
            in_channels: self.in_channels,
            hidden_size: self.hidden_size,
            depth: self.depth,
            num_heads: self.num_heads,
            mlp_ratio: self.mlp_ratio,
            class_dropout_prob: self.class_dropout_prob,
            num_classes: self.num_classes,
            learn_sigma: false,
        }
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = self.trunk().problems(path);
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        let decoder = self.decoder_hidden_size.unwrap_or(self.hidden_size);
        let must = format!("must be hidden_size = {}", self.hidden_size);
        check(decoder == self.hidden_size, "decoder_hidden_size", &decoder, &must);
        let within = (1..=self.depth).contains(&self.encoder_depth);
        let must = format!("must be in 1..=depth = {}", self.depth);
        check(within, "encoder_depth", &self.encoder_depth, &must);
        for (i, width) in self.z_dims.iter().enumerate() {
            check(*width > 0, &format!("z_dims[{i}]"), width, "must be at least 1");
        }
        check(self.projector_dim > 0, "projector_dim", &self.projector_dim, "must be at least 1");
        let weight = self.alignment_weight >= 0.0 && self.alignment_weight.is_finite();
        check(weight, "alignment_weight", &self.alignment_weight, "must be finite and at least 0");
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The network with the official initial law and seed 0; see [`RepaConfig::init_seeded`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<Repa> {
        self.init_seeded(0, device)
    }

    /// The network with the official initial law: that of [`SitConfig::init_seeded`], and Xavier for the projectors.
    /// The weights are a pure function of `seed`; those of the trunk are SiT's.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<Repa> {
        Error::if_any(self.problems(""))?;
        let mut init = WeightInit::new(seed, device);
        let trunk = self.trunk().build(self.qk_norm, &mut init);
        let projector = |z_dim: &usize| projector(self.hidden_size, self.projector_dim, *z_dim, &mut init);
        Ok(Repa {
            trunk,
            projectors: self.z_dims.iter().map(projector).collect(),
            encoder_depth: self.encoder_depth,
            alignment_weight: self.alignment_weight,
        })
    }

    /// A condition of these labels `[batch]` and, unless empty, features `[batch, tokens, z_dim]` of every encoder,
    /// with one token per patch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the features are not those of this model's encoders.
    pub fn condition(&self, labels: Tensor<1, Int>, features: Vec<Tensor<3>>) -> Result<RepaCondition> {
        let ([batch], tokens) = (labels.dims(), (self.input_size / self.patch_size.max(1)).pow(2));
        let expected: Vec<[usize; 3]> = self.z_dims.iter().map(|width| [batch, tokens, *width]).collect();
        let found: Vec<[usize; 3]> = features.iter().map(Tensor::dims).collect();
        if found.is_empty() || found == expected {
            return Ok(RepaCondition { labels, features });
        }
        Err(Error::Invalid(format!("features have the shapes {found:?}, must have {expected:?}")))
    }

    /// Official names and shapes (PyTorch layout) of all parameters, in the order of the official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = ParameterList(self.trunk().listed(self.qk_norm));
        let end = list.0.iter().position(|(name, _)| name.starts_with("final_layer.")).unwrap_or(list.0.len());
        let last = list.0.split_off(end);
        for (j, z_dim) in self.z_dims.iter().enumerate() {
            let hidden = self.projector_dim;
            for (layer, inputs, outputs) in [(0, self.hidden_size, hidden), (2, hidden, hidden), (4, hidden, *z_dim)] {
                list.layer(&format!("projectors.{j}.{layer}"), vec![outputs, inputs]);
            }
        }
        list.0.extend(last);
        list.0
    }

    /// The number of parameters, the fixed positions included, as the official code counts them.
    pub fn parameter_count(&self) -> usize {
        as_size(self.numbers())
    }

    /// As [`parameter_count`](Self::parameter_count), of any size.
    pub(crate) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }
}

#[cfg(test)]
mod tests;
