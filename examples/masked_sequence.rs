//! A rectified-flow transformer over sequences of different lengths, as in text-to-speech: padding is masked in attention
//! and in the loss.
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::train::TrainStep;
use burn_mixflow::prelude::*;
use std::ops::Range;

const BATCH: usize = 32;
const TOKENS: usize = 24;
const FEATURES: usize = 4;

/// Which tokens are padding, `[batch, tokens]`; text, speaker and so on would stand beside it.
#[derive(Debug, Clone)]
struct Padding(Tensor<2, Bool>);

impl Condition for Padding {
    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }
    fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0.clone().slice([range]))
    }
    fn concat(self, other: Self) -> Self {
        Self(Tensor::cat(vec![self.0, other.0], 0))
    }
    fn count(&self) -> Option<usize> {
        Some(self.0.dims()[0])
    }
}

impl Padding {
    /// For sequences of these lengths.
    fn of(lengths: &[usize], device: &Device) -> Self {
        let padded: Vec<bool> = lengths.iter().flat_map(|length| (0..TOKENS).map(move |i| i >= *length)).collect();
        Self(Tensor::from_data(TensorData::new(padded, [lengths.len(), TOKENS]), device))
    }
}

/// Tokens see their features, the timestep and where they stand.
#[derive(Module, Debug)]
struct Sequences {
    first: Linear,
    encoder: TransformerEncoder,
    last: Linear,
}

impl PredictionNetwork<3> for Sequences {
    type Condition = Padding;
    fn predict(&self, noisy: Tensor<3>, timestep: Tensor<1>, padding: &Padding) -> Prediction<3> {
        let (batch, device) = (noisy.dims()[0], noisy.device());
        let time = timestep.reshape([batch, 1, 1]).expand([batch, TOKENS, 1]);
        let place = Tensor::<1, Int>::arange(0..TOKENS as i64, &device).float().div_scalar(TOKENS as f64);
        let place = place.reshape([1, TOKENS, 1]).expand([batch, TOKENS, 1]);
        let input = self.first.forward(Tensor::cat(vec![noisy, time, place], 2));
        let seen = self.encoder.forward(TransformerEncoderInput::new(input).mask_pad(padding.0.clone()));
        self.last.forward(seen).into()
    }
}

/// Waves of different lengths and phases, their padding full of a value that must not matter.
fn batch(step: usize, device: &Device) -> FlowBatch<3, Padding> {
    let number = |i: usize| step * BATCH + i;
    let lengths: Vec<usize> = (0..BATCH).map(|i| TOKENS / 2 + number(i) % (TOKENS / 2)).collect();
    let value = |i: usize, token: usize, feature: usize| match token < lengths[i] {
        true => (number(i) as f32 * 0.7 + token as f32 * 0.5 + feature as f32 * 1.5).sin(),
        false => 50.0,
    };
    let place = |n: usize| (n / (TOKENS * FEATURES), n / FEATURES % TOKENS, n % FEATURES);
    let values: Vec<f32> = (0..BATCH * TOKENS * FEATURES).map(place).map(|(i, t, f)| value(i, t, f)).collect();
    let data = Tensor::from_data(TensorData::new(values, [BATCH, TOKENS, FEATURES]), device);
    let padding = Padding::of(&lengths, device);
    let weight = padding.0.clone().bool_not().float().unsqueeze_dim(2);
    FlowBatch::new(data, padding).with_weight(weight)
}

fn main() -> burn_mixflow::Result<()> {
    let device = Device::flex().autodiff();
    let network = Sequences {
        first: LinearConfig::new(FEATURES + 2, 32).init(&device),
        encoder: TransformerEncoderConfig::new(32, 64, 4, 2).with_dropout(0.0).init(&device),
        last: LinearConfig::new(32, FEATURES).init(&device),
    };
    let strategy = StrategyConfig::mixflow(0.2).build(None)?;
    let mut step = MixFlowTrainStep::builder(network, strategy).with_clip(1.0).build()?;
    let mut optimizer = AdamWConfig::new().init();
    let mut sum = 0.0;
    for count in 1..=300 {
        let output = TrainStep::step(&step, batch(count, &device));
        sum += output.item.loss.mean().into_scalar::<f32>();
        step = step.optimize(&mut optimizer, 2e-3.into(), output.grads);
        if count % 50 == 0 {
            println!("step {count:3}  loss {:.3}", std::mem::take(&mut sum) / 50.0);
        }
    }
    let (sampler, device) = (SamplerConfig::new(SolverConfig::Heun, 10, 64), Device::flex());
    let padding = Padding::of(&[TOKENS, TOKENS / 2], &device);
    let shape = [2, TOKENS, FEATURES];
    let waves =
        Sampler::linear_velocity(sampler)?.sample(&step.ema().valid(), &padding, shape, 0, &device, &mut |_| ())?;
    let short = waves.slice([1..2, 0..TOKENS / 2]).square().mean().sqrt().into_scalar::<f32>();
    println!("a sampled sequence of {} tokens: root mean square {short:.2}, of the data 0.71", TOKENS / 2);
    Ok(())
}
