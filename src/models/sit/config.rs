//! The sizes of a SiT, its named models and its parameters, counted without allocating any.
use super::{FinalLayer, LabelEmbedding, PatchEmbedding, Sit, SitBlock, sincos_2d};
use crate::models::layers::{Law, ParameterList, TimestepEmbedding, WeightInit, as_size, count, product};
use crate::models::size_limit::{self, MOST_BLOCKS};
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Half the number of sinusoidal features of the timestep.
const HALF_FEATURES: usize = 128;

/// Sizes of a [`Sit`]; the defaults are the official constructor's (SiT-XL/2 at 256 pixels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SitConfig {
    /// Side of the (latent) image: pixels / 8 for the usual autoencoder.
    pub input_size: usize,
    /// Side of a patch; divides `input_size`.
    pub patch_size: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Width of the tokens; a multiple of 4 and of `num_heads`.
    pub hidden_size: usize,
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
    /// Whether the output has twice the channels, of which the first half is used.
    pub learn_sigma: bool,
}

impl Default for SitConfig {
    fn default() -> Self {
        Self {
            input_size: 32,
            patch_size: 2,
            in_channels: 4,
            hidden_size: 1152,
            depth: 28,
            num_heads: 16,
            mlp_ratio: 4.0,
            class_dropout_prob: 0.1,
            num_classes: 1000,
            learn_sigma: true,
        }
    }
}

impl SitConfig {
    /// A model of the paper: `SiT-{S,B,L,XL}/{2,4,8}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other name.
    pub fn named(name: &str) -> Result<Self> {
        let unknown = || Error::Invalid(format!("unknown model `{name}`: must be SiT-{{S,B,L,XL}}/{{2,4,8}}"));
        let (size, patch) = name.strip_prefix("SiT-").and_then(|n| n.split_once('/')).ok_or_else(unknown)?;
        let (depth, hidden_size, num_heads) = match size {
            "S" => (12, 384, 6),
            "B" => (12, 768, 12),
            "L" => (24, 1024, 16),
            "XL" => (28, 1152, 16),
            _ => return Err(unknown()),
        };
        let patch_size = match patch {
            "2" => 2,
            "4" => 4,
            "8" => 8,
            _ => return Err(unknown()),
        };
        Ok(Self { depth, hidden_size, num_heads, patch_size, ..Self::default() })
    }

    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |holds, key: &str, value: &dyn std::fmt::Display, condition: &str| {
            Problem::unless(&mut found, holds, path, key, value, condition);
        };
        check(self.input_size > 0, "input_size", &self.input_size, "must be at least 1");
        check(
            self.patch_size > 0 && self.input_size.is_multiple_of(self.patch_size),
            "patch_size",
            &self.patch_size,
            &format!("must divide input_size = {}", self.input_size),
        );
        check(self.in_channels > 0, "in_channels", &self.in_channels, "must be at least 1");
        check(
            self.hidden_size > 0 && self.hidden_size.is_multiple_of(4),
            "hidden_size",
            &self.hidden_size,
            "must be a positive multiple of 4",
        );
        check(self.depth > 0, "depth", &self.depth, "must be at least 1");
        check(
            self.num_heads > 0 && self.hidden_size.is_multiple_of(self.num_heads),
            "num_heads",
            &self.num_heads,
            &format!("must divide hidden_size = {}", self.hidden_size),
        );
        let ratio = self.mlp_ratio.is_finite() && self.mlp_ratio * self.hidden_size as f64 >= 1.0;
        check(ratio, "mlp_ratio", &self.mlp_ratio, "must be finite and give the MLP at least one unit");
        let probability = (0.0..=1.0).contains(&self.class_dropout_prob);
        check(probability, "class_dropout_prob", &self.class_dropout_prob, "must be in [0, 1]");
        check(self.num_classes > 0, "num_classes", &self.num_classes, "must be at least 1");
        check(self.depth <= MOST_BLOCKS, "depth", &self.depth, &format!("must be at most {MOST_BLOCKS}"));
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The network with the official initial law and seed 0; see [`SitConfig::init_seeded`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<Sit> {
        self.init_seeded(0, device)
    }

    /// The network with the official initial law: Xavier for linear layers, N(0, 0.02²) for labels and timestep,
    /// zero for every modulation and the final layer. The weights are a pure function of `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<Sit> {
        Error::if_any(self.problems(""))?;
        Ok(self.build(false, &mut WeightInit::new(seed, device)))
    }

    /// The network of a configuration without problems, if asked with normed queries and keys.
    pub(crate) fn build(&self, qk_norm: bool, init: &mut WeightInit) -> Sit {
        let width = self.hidden_size;
        let positions = sincos_2d(width, self.grid()).into_iter().map(|v| v as f32).collect();
        let block = |init: &mut WeightInit| {
            let block = SitBlock::new(width, self.num_heads, self.mlp_width(), init);
            if qk_norm { block.with_qk_norm(init) } else { block }
        };
        Sit {
            pos_embed: init.constant(positions, [1, self.grid().pow(2), width]).no_grad(),
            x_embedder: PatchEmbedding::new(self.in_channels, self.patch_size, width, init),
            t_embedder: TimestepEmbedding::new(HALF_FEATURES, width, Law::Normal { std: 0.02 }, init),
            y_embedder: LabelEmbedding::new(self.label_rows(), width, init),
            blocks: (0..self.depth).map(|_| block(init)).collect(),
            final_layer: FinalLayer::new(width, self.patch_size.pow(2) * self.out_channels(), init),
            patch_size: self.patch_size,
            out_channels: self.out_channels(),
            null_label: (self.class_dropout_prob > 0.0).then_some(self.num_classes),
        }
    }

    /// Official names and shapes (PyTorch layout) of all parameters, in the order of the official `state_dict`.
    ///
    /// The configuration must have no [`problems`](Self::problems).
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        self.listed(false)
    }

    /// The [`parameters`](Self::parameters), if asked with normed queries and keys.
    pub(crate) fn listed(&self, qk_norm: bool) -> Vec<(String, Vec<usize>)> {
        let width = self.hidden_size;
        let mut list = ParameterList(vec![("pos_embed".into(), vec![1, product([self.grid(), self.grid()]), width])]);
        list.layer("x_embedder.proj", vec![width, self.in_channels, self.patch_size, self.patch_size]);
        list.layer("t_embedder.mlp.0", vec![width, 2 * HALF_FEATURES]);
        list.layer("t_embedder.mlp.2", vec![width, width]);
        list.one("y_embedder.embedding_table.weight", vec![self.label_rows(), width]);
        for i in 0..self.depth {
            list.layer(&format!("blocks.{i}.attn.qkv"), vec![product([3, width]), width]);
            for norm in ["q_norm", "k_norm"].iter().filter(|_| qk_norm) {
                list.layer(&format!("blocks.{i}.attn.{norm}"), vec![width / self.num_heads]);
            }
            list.layer(&format!("blocks.{i}.attn.proj"), vec![width, width]);
            list.layer(&format!("blocks.{i}.mlp.fc1"), vec![self.mlp_width(), width]);
            list.layer(&format!("blocks.{i}.mlp.fc2"), vec![width, self.mlp_width()]);
            list.layer(&format!("blocks.{i}.adaLN_modulation.1"), vec![product([6, width]), width]);
        }
        let outputs = product([self.patch_size, self.patch_size, self.out_channels()]);
        list.layer("final_layer.linear", vec![outputs, width]);
        list.layer("final_layer.adaLN_modulation.1", vec![product([2, width]), width]);
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

    fn grid(&self) -> usize {
        self.input_size / self.patch_size
    }

    fn label_rows(&self) -> usize {
        self.num_classes.saturating_add(usize::from(self.class_dropout_prob > 0.0))
    }

    fn mlp_width(&self) -> usize {
        (self.hidden_size as f64 * self.mlp_ratio) as usize
    }

    fn out_channels(&self) -> usize {
        product([self.in_channels, if self.learn_sigma { 2 } else { 1 }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PredictionNetwork;
    use burn::module::Module;
    use burn::tensor::{Int, Tensor};

    fn tiny() -> SitConfig {
        SitConfig { input_size: 4, hidden_size: 8, depth: 1, num_heads: 2, num_classes: 3, ..Default::default() }
    }

    #[test]
    fn every_problem_is_named() {
        let config = SitConfig { patch_size: 5, num_heads: 7, class_dropout_prob: f64::NAN, ..Default::default() };
        let paths: Vec<_> = config.problems("model").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["model.patch_size", "model.num_heads", "model.class_dropout_prob"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 3));
        assert!(SitConfig::named("SiT-M/2").is_err());
        assert!(serde_json::from_str::<SitConfig>(r#"{"depht": 3}"#).is_err());
    }

    #[test]
    fn the_count_is_that_of_the_module() {
        let sit = tiny().init(&Device::flex()).unwrap();
        assert_eq!(sit.num_params(), tiny().parameter_count());
    }

    #[test]
    fn a_fresh_network_predicts_zero_and_keeps_the_shape() {
        let device = Device::flex();
        let sit = tiny().init(&device).unwrap();
        let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
        let out = sit.predict(Tensor::ones([2, 4, 4, 4], &device), Tensor::ones([2], &device), &labels).output;
        assert_eq!(out.dims(), [2, 4, 4, 4]);
        assert_eq!(out.abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn the_null_label_exists_only_with_class_dropout() {
        let device = Device::flex();
        let labels = Tensor::<1, Int>::from_ints([0, 2], &device);
        let dropped = tiny().init(&device).unwrap().drop_condition(&labels, &[true, false]).unwrap();
        assert_eq!(dropped.into_data().iter::<i64>().collect::<Vec<_>>(), [3, 2]);
        let without = SitConfig { class_dropout_prob: 0.0, ..tiny() };
        assert!(without.init(&device).unwrap().drop_condition(&labels, &[true, false]).is_none());
    }
}
