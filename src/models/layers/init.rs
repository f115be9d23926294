//! Initial weights as a pure function of (seed, position of the tensor in the model), drawn on the host.
//!
//! Burn's initialisers draw from the backend's process-wide generator, when a parameter is first used; the
//! same seed gives other weights on another backend. Here the n-th tensor of a model has its own stream.
use crate::random::{Purpose, SampleKey};
use burn::module::Param;
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// The ε of every layer norm made here.
pub(super) const LAYER_NORM_EPSILON: f64 = 1e-5;

/// The law of the entries of a weight tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// All zero.
    Zeros,
    /// U(−a, a), a = √(6 / (inputs + outputs)) (Glorot and Bengio 2010).
    XavierUniform,
    /// N(0, std²).
    Normal {
        /// The standard deviation.
        std: f64,
    },
    /// U(−a, a), a = 1/√inputs: what PyTorch's `Linear` starts with, in its weight and in its bias.
    FanIn,
}

/// Makes the layers of one model, in a fixed order.
#[derive(Debug)]
pub struct WeightInit {
    seed: u64,
    position: u64,
    device: Device,
}

impl WeightInit {
    /// Starts at the first tensor of the model.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, position: 0, device: device.clone() }
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A weight of the given shape, whose law sees `inputs` and `outputs`.
    pub fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        inputs: usize,
        outputs: usize,
        law: Law,
    ) -> Param<Tensor<D>> {
        let key = SampleKey { seed: self.seed, epoch: 0, position: self.position };
        self.position += 1;
        let mut rng = key.rng(Purpose::Weights);
        let count = shape.iter().product();
        let values: Vec<f32> = match law {
            Law::Zeros => vec![0.0; count],
            Law::XavierUniform => uniform((6.0 / (inputs + outputs) as f64).sqrt(), count, &mut rng),
            Law::FanIn => uniform((1.0 / inputs as f64).sqrt(), count, &mut rng),
            Law::Normal { std } => (0..count)
                .map(|_| {
                    let value: f32 = StandardNormal.sample(&mut rng);
                    value * std as f32
                })
                .collect(),
        };
        Param::from_data(TensorData::new(values, Shape::from(shape)), &self.device)
    }

    /// A linear layer with bias 0.
    pub fn linear(&mut self, inputs: usize, outputs: usize, law: Law) -> Linear {
        Linear { weight: self.weight([inputs, outputs], inputs, outputs, law), bias: Some(self.zeros([outputs])) }
    }

    /// A linear layer whose bias has a law of its own, which sees the same `inputs`.
    pub fn linear_and_bias(&mut self, inputs: usize, outputs: usize, weight: Law, bias: Law) -> Linear {
        let weight = self.weight([inputs, outputs], inputs, outputs, weight);
        Linear { weight, bias: Some(self.weight([outputs], inputs, outputs, bias)) }
    }

    /// A table of `rows` vectors.
    pub fn embedding(&mut self, rows: usize, width: usize, law: Law) -> Embedding {
        Embedding { weight: self.weight([rows, width], rows, width, law) }
    }

    /// A layer norm over `width` values with scale 1, shift 0 and ε = 1e-5; it takes no stream of random numbers.
    pub fn layer_norm(&self, width: usize) -> LayerNorm {
        let mut norm = LayerNormConfig::new(width).with_epsilon(LAYER_NORM_EPSILON).init(&self.device);
        norm.gamma = self.constant(vec![1.0; width], [width]);
        norm.beta = Some(self.zeros([width]));
        norm
    }

    /// A parameter of zeros; it takes no stream of random numbers.
    pub fn zeros<const D: usize>(&self, shape: [usize; D]) -> Param<Tensor<D>> {
        self.constant(vec![0.0; shape.iter().product()], shape)
    }

    /// A parameter with given values.
    pub fn constant<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, Shape::from(shape)), &self.device)
    }
}

/// `count` draws from U(−bound, bound).
fn uniform(bound: f64, count: usize, rng: &mut impl rand::Rng) -> Vec<f32> {
    let bound = bound as f32;
    (0..count).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, law: Law) -> Vec<f32> {
        let mut init = WeightInit::new(seed, &Device::flex());
        init.weight([50, 200], 50, 200, law).val().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let law = Law::Normal { std: 1.0 };
        assert_eq!(draw(1, law), draw(1, law));
        assert_ne!(draw(1, law), draw(2, law));
        let mut init = WeightInit::new(1, &Device::flex());
        let [a, b] = [0, 1].map(|_| init.weight([4, 4], 4, 4, law).val().into_data());
        assert_ne!(a, b);
    }

    #[test]
    fn laws_have_the_stated_spread() {
        let normal = draw(3, Law::Normal { std: 0.02 });
        let std = (normal.iter().map(|v| (v * v) as f64).sum::<f64>() / normal.len() as f64).sqrt();
        // The standard error of the estimate is 0.02 / √20000 = 1.4e-4.
        assert!((std - 0.02).abs() < 6e-4, "{std}");
        let bound = (6.0f32 / 250.0).sqrt();
        let largest = draw(3, Law::XavierUniform).iter().fold(0.0f32, |a, v| a.max(v.abs()));
        assert!(largest <= bound && largest > 0.99 * bound, "{largest} {bound}");
        let bound = 1.0 / 50f32.sqrt();
        let layer = WeightInit::new(3, &Device::flex()).linear_and_bias(50, 200, Law::FanIn, Law::FanIn);
        for (values, share) in [(layer.weight.val().into_data(), 0.99), (layer.bias.unwrap().val().into_data(), 0.9)] {
            let largest = values.iter::<f32>().fold(0.0f32, |a, v| a.max(v.abs()));
            assert!(largest <= bound && largest > share * bound, "{largest} {bound}");
        }
    }
}
