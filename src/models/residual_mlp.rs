//! A residual MLP modulated by time: x += gate · Linear(GELU(Linear(modulate(LN(x), shift, scale)))).
//!
//! The output is that of a linear layer plus `s(t)` times the input.
//! Small enough to pretrain and post-train in minutes on a CPU; the network of the photo-patch and digit studies.
use super::layers::{Law, ParameterList, TimestepEmbedding, WeightInit, as_size, count, linear, linear_gelu, product};
use super::replace_labels;
use super::size_limit::{self, MOST_BLOCKS};
use crate::network::{Prediction, PredictionNetwork};
use crate::ops::{gated, layer_norm, modulate_norm, silu};
use crate::recompute::{cut, recomputed};
use crate::{Error, Problem, Result};
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Timesteps are multiplied by this before the sinusoidal features, which then resolve steps of 1/1000.
const TIME_SCALE: f64 = 1000.0;

/// Sizes of a [`ResidualMlp`]; the defaults give 441,793 parameters for 16×16 grey images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResidualMlpConfig {
    /// Channels of the image.
    pub channels: usize,
    /// Side of the image; the network sees `channels * size * size` values.
    pub size: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of residual blocks.
    pub depth: usize,
    /// Hidden width of a block over `width`.
    pub expansion: usize,
    /// Width of the embedding of time and label; even.
    pub embedding: usize,
    /// Number of classes; 0 for an unconditional network, which ignores labels.
    pub num_classes: usize,
}

impl Default for ResidualMlpConfig {
    fn default() -> Self {
        Self { channels: 1, size: 16, width: 192, depth: 3, expansion: 1, embedding: 64, num_classes: 0 }
    }
}

impl ResidualMlpConfig {
    /// Every violated condition, under the key `path`.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let sizes = [
            ("channels", self.channels),
            ("size", self.size),
            ("width", self.width),
            ("depth", self.depth),
            ("expansion", self.expansion),
        ];
        for (key, value) in sizes {
            Problem::unless(&mut found, value > 0, path, key, value, "must be at least 1");
        }
        let even = self.embedding > 0 && self.embedding.is_multiple_of(2);
        Problem::unless(&mut found, even, path, "embedding", self.embedding, "must be a positive even number");
        let must = format!("must be at most {MOST_BLOCKS}");
        Problem::unless(&mut found, self.depth <= MOST_BLOCKS, path, "depth", self.depth, must);
        if found.is_empty() {
            found = size_limit::problems(self, path, Self::numbers);
        }
        found
    }

    /// The network with seed 0; see [`ResidualMlpConfig::init_seeded`].
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init(&self, device: &Device) -> Result<ResidualMlp> {
        self.init_seeded(0, device)
    }

    /// The network with Xavier weights, and zero for gates and output. The weights are a pure function of `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] with every violated condition.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<ResidualMlp> {
        Error::if_any(self.problems(""))?;
        let (law, features) = (Law::XavierUniform, self.features());
        let init = &mut WeightInit::new(seed, device);
        Ok(ResidualMlp {
            input: init.linear(features, self.width, law),
            time: TimestepEmbedding::new(self.embedding / 2, self.embedding, law, init),
            labels: (self.num_classes > 0)
                .then(|| init.embedding(self.num_classes + 1, self.embedding, Law::Normal { std: 0.02 })),
            blocks: (0..self.depth)
                .map(|_| ResidualBlock {
                    modulation: init.linear(self.embedding, 3 * self.width, Law::Zeros),
                    first: init.linear(self.width, self.expansion * self.width, law),
                    second: init.linear(self.expansion * self.width, self.width, law),
                })
                .collect(),
            output: init.linear(self.width, features, Law::Zeros),
            skip: init.linear(self.embedding, 1, Law::Zeros),
            num_classes: self.num_classes,
        })
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        as_size(self.numbers())
    }

    /// As [`parameter_count`](Self::parameter_count), of any size.
    pub(super) fn numbers(&self) -> u128 {
        count(&self.parameters(), |_| true)
    }

    /// Names and shapes of all parameters, weights as `[outputs, inputs]`.
    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (width, embedding, features) = (self.width, self.embedding, self.features());
        let hidden = product([self.expansion, width]);
        let mut list = ParameterList(Vec::new());
        list.layer("input", vec![width, features]);
        list.layer("time.first", vec![embedding, embedding]);
        list.layer("time.second", vec![embedding, embedding]);
        if self.num_classes > 0 {
            list.one("labels", vec![self.num_classes.saturating_add(1), embedding]);
        }
        for i in 0..self.depth {
            list.layer(&format!("blocks.{i}.modulation"), vec![product([3, width]), embedding]);
            list.layer(&format!("blocks.{i}.first"), vec![hidden, width]);
            list.layer(&format!("blocks.{i}.second"), vec![width, hidden]);
        }
        list.layer("output", vec![features, width]);
        list.layer("skip", vec![1, embedding]);
        list.0
    }

    fn features(&self) -> usize {
        product([self.channels, self.size, self.size])
    }
}

/// One residual block; (shift, scale, gate) = `modulation`(SiLU(embedding)).
#[derive(Module, Debug)]
pub struct ResidualBlock {
    modulation: Linear,
    first: Linear,
    second: Linear,
}

impl ResidualBlock {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>) -> Tensor<2> {
        let [_, width] = x.dims();
        let parts = linear(&self.modulation, embedding);
        let part = |i: usize| parts.clone().narrow(1, i * width, width);
        let inner = linear_gelu(&self.first, modulate_norm(x.clone(), part(0), part(1), 1e-6));
        gated(x, part(2), linear(&self.second, inner))
    }
}

/// The network; made by [`ResidualMlpConfig::init`]. Takes data of any rank ≥ 2 and flattens each sample.
#[derive(Module, Debug)]
pub struct ResidualMlp {
    input: Linear,
    time: TimestepEmbedding,
    labels: Option<Embedding>,
    blocks: Vec<ResidualBlock>,
    output: Linear,
    /// The weight of the input itself in the output: the noise has more directions than the width can carry.
    skip: Linear,
    num_classes: usize,
}

impl ResidualMlp {
    /// The prediction `[batch, features]` for `x` of the same shape at `timestep` `[batch]` under `labels` `[batch]`
    /// (in `0..=num_classes`, the last meaning "none"; ignored by an unconditional network).
    ///
    /// Computes in the type of the weights; the result has the type of `x`.
    pub fn forward(&self, x: Tensor<2>, timestep: Tensor<1>, labels: &Tensor<1, Int>) -> Tensor<2> {
        let input_type = x.dtype();
        let mut embedding = self.time.forward(timestep * TIME_SCALE);
        if let Some(table) = &self.labels {
            embedding = embedding + table.weight.val().select(0, labels.clone());
        }
        let embedding = cut(silu(embedding));
        let noisy = x.cast(self.input.weight.val().dtype());
        let skip = self.skip.forward(embedding.tensor()) * noisy.clone();
        let mut x = cut(linear(&self.input, noisy));
        for block in &self.blocks {
            x = recomputed(block, &(x, embedding.clone()), |b, (x, c)| b.forward(x, c));
        }
        (linear(&self.output, layer_norm(x.tensor(), 1e-6)) + skip).cast(input_type)
    }
}

impl<const D: usize> PredictionNetwork<D> for ResidualMlp {
    type Condition = Tensor<1, Int>;

    fn predict(&self, noisy: Tensor<D>, timestep: Tensor<1>, condition: &Self::Condition) -> Prediction<D> {
        let shape = noisy.dims();
        let batch = shape[0];
        let features = shape.iter().skip(1).product::<usize>();
        self.forward(noisy.reshape([batch, features]), timestep, condition).reshape(shape).into()
    }

    /// The null label is `num_classes`; an unconditional network has none.
    fn drop_condition(&self, condition: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        (self.num_classes > 0).then(|| replace_labels(condition, dropped, self.num_classes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_study() {
        let config = ResidualMlpConfig::default();
        assert_eq!(config.parameter_count(), 441_793);
        let mlp = config.init(&Device::flex()).unwrap();
        assert_eq!(mlp.num_params(), 441_793);
        let labelled = ResidualMlpConfig { num_classes: 10, size: 8, ..config };
        assert_eq!(labelled.init(&Device::flex()).unwrap().num_params(), labelled.parameter_count());
    }

    #[test]
    fn every_problem_is_named() {
        let config = ResidualMlpConfig { width: 0, embedding: 7, ..Default::default() };
        let paths: Vec<_> = config.problems("model").into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["model.width", "model.embedding"]);
        assert!(matches!(config.init(&Device::flex()), Err(Error::Config(list)) if list.len() == 2));
    }

    #[test]
    fn images_vectors_and_labels() {
        let device = Device::flex();
        let config = ResidualMlpConfig { size: 2, channels: 3, width: 8, num_classes: 2, ..Default::default() };
        let mlp = config.init(&device).unwrap();
        let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
        let t = Tensor::<1>::from_floats([0.1, 0.9], &device);
        let image = mlp.predict(Tensor::<4>::ones([2, 3, 2, 2], &device), t.clone(), &labels).output;
        assert_eq!(image.dims(), [2, 3, 2, 2]);
        let vector = mlp.predict(Tensor::<2>::ones([2, 12], &device), t, &labels).output;
        assert_eq!(vector.into_data(), image.reshape([2, 12]).into_data());
        let dropped = PredictionNetwork::<4>::drop_condition(&mlp, &labels, &[false, true]).unwrap();
        assert_eq!(dropped.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 2]);
        let free = ResidualMlpConfig::default().init(&device).unwrap();
        assert!(PredictionNetwork::<4>::drop_condition(&free, &labels, &[false, true]).is_none());
    }
}
