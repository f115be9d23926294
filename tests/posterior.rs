//! Data that are known as a distribution, and what the validation loss is made of.
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainStep};
use burn_mixflow::network::{Prediction, PredictionNetwork};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep};
use std::ops::Range;

/// A layer with an auxiliary loss of its own.
#[derive(Module, Debug)]
struct Aligned {
    layer: Linear,
    auxiliary: f64,
}

impl PredictionNetwork<2> for Aligned {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
        let auxiliary = Tensor::ones([1], &noisy.device()) * self.auxiliary;
        Prediction { output: self.layer.forward(noisy), auxiliary_loss: Some(auxiliary) }
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn step(auxiliary: f64) -> MixFlowTrainStep<Aligned, 2> {
    let layer =
        LinearConfig::new(3, 3).with_initializer(burn::nn::Initializer::Constant { value: 0.3 }).init(&device());
    MixFlowTrainStep::new(Aligned { layer, auxiliary }, StrategyConfig::mixflow(0.8).build(None).unwrap())
}

fn keys(epoch: u64, positions: Range<u64>) -> Vec<SampleKey> {
    positions.map(|position| SampleKey { seed: 5, epoch, position }).collect()
}

fn batch(keys: &[SampleKey], deviation: Option<f32>) -> FlowBatch<2, ()> {
    let data = Tensor::from_data(normal(keys, Purpose::Data, &[3]), &device());
    let deviation = deviation.map(|d| data.ones_like() * d);
    FlowBatch { deviation, ..FlowBatch::new(data, ()).with_keys(keys.to_vec()) }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn train(batch: FlowBatch<2, ()>) -> Vec<f32> {
    values(TrainStep::step(&step(0.0), batch).item.loss)
}

fn validate(batch: FlowBatch<2, ()>) -> Vec<f32> {
    values(InferenceStep::step(&step(0.0), batch).loss)
}

#[test]
fn a_deviation_of_zero_is_none_bit_for_bit() {
    let keys = keys(1, 0..6);
    assert_eq!(train(batch(&keys, Some(0.0))), train(batch(&keys, None)));
    assert_eq!(validate(batch(&keys, Some(0.0))), validate(batch(&keys, None)));
    assert_ne!(train(batch(&keys, Some(0.5))), train(batch(&keys, None)));
}

#[test]
fn the_draw_is_that_of_the_sample_and_the_epoch() {
    let whole = keys(1, 0..6);
    let drawn = |keys: &[SampleKey]| values(batch(keys, Some(0.5)).drawn(keys).data);
    assert_eq!(drawn(&whole), [drawn(&whole[..2]), drawn(&whole[2..])].concat());
    let noise: Vec<f32> = normal(&whole, Purpose::Posterior, &[3]).iter().collect();
    let data = values(batch(&whole, None).data);
    assert_eq!(drawn(&whole), data.iter().zip(noise).map(|(x, n)| x + 0.5 * n).collect::<Vec<_>>());
    let other = FlowBatch { keys: None, ..batch(&whole, Some(0.5)) };
    assert_ne!(values(other.drawn(&keys(2, 0..6)).data), drawn(&whole));
}

#[test]
fn the_step_trains_and_validates_on_the_draw() {
    let keys = keys(1, 0..6);
    let drawn = || FlowBatch { keys: Some(keys.clone()), ..batch(&keys, Some(0.5)).drawn(&keys) };
    assert!(drawn().deviation.is_none());
    assert_eq!(train(batch(&keys, Some(0.5))), train(drawn()));
    assert_eq!(validate(batch(&keys, Some(0.5))), validate(drawn()));
    assert_eq!(validate(batch(&keys, Some(0.5))), validate(batch(&keys, Some(0.5))));
    let unkeyed = || FlowBatch { keys: None, ..batch(&keys, Some(0.5)) };
    assert_eq!(validate(unkeyed()), validate(unkeyed()));
}

#[test]
fn validation_leaves_the_auxiliary_loss_out_and_training_adds_it() {
    let keys = keys(1, 0..6);
    let losses = |auxiliary| {
        let step = step(auxiliary);
        let train = TrainStep::step(&step, batch(&keys, None)).item.loss;
        (values(train), values(InferenceStep::step(&step, batch(&keys, None)).loss))
    };
    let ((plain, validation), (with, same)) = (losses(0.0), losses(7.0));
    assert_eq!(validation, same);
    assert!(plain.iter().zip(with).all(|(p, w)| (w - p - 7.0).abs() < 1e-5));
}
