//! Gradient checkpointing: the same training to the last bit. What it saves is counted in `footprint.rs`.
mod same_training;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;
use burn_mixflow::network::{Prediction, PredictionNetwork};
use burn_mixflow::recompute::Checkpointing;
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep};
use same_training::weights;
use serde_json::{Value, json};

fn is_the_same_training(system: &str, changes: Value) {
    same_training::is_the_same_training(system, &changes, &json!({"post_train": {"checkpointing": "blocks"}}));
}

#[test]
fn sit_learns_the_same_to_the_last_bit() {
    is_the_same_training("sit", json!({}));
}

#[test]
fn repa_learns_the_same_to_the_last_bit() {
    is_the_same_training("repa", json!({}));
}

#[test]
fn rae_learns_the_same_to_the_last_bit() {
    is_the_same_training("rae", json!({}));
}

#[test]
fn stable_diffusion_learns_the_same_to_the_last_bit() {
    is_the_same_training("sd35", json!({}));
}

/// Without a graph Burn rounds otherwise in bf16, and AdamW's first steps are as long for a small gradient as for a large one:
/// each of the four steps moves a weight by the learning rate at most.
#[test]
fn in_bf16_it_is_nearly_the_same_training() {
    for system in ["sit", "repa", "rae", "sd35"] {
        let rate = 1e-4;
        let half = |checkpointing: &str| {
            let stage =
                json!({"precision": "bf16", "checkpointing": checkpointing, "optimizer": {"learning_rate": rate}});
            weights(system, &json!({"post_train": stage}))
        };
        let (whole, blocks) = (half("none"), half("blocks"));
        let (mut moved, mut differs, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
        for ((name, a), (other, b)) in whole.iter().zip(&blocks) {
            assert_eq!(name, other);
            for (a, b) in a.iter().zip(b) {
                let difference = f64::from((f32::from_bits(*a) - f32::from_bits(*b)).abs());
                moved = moved.max(difference);
                differs += difference;
                count += 1.0;
            }
        }
        let mean = differs / count;
        println!("{system}: weights differ by {mean:.1e} on average, by {moved:.1e} at most");
        assert!(moved <= 8.5 * rate, "{system}: {moved}");
        assert!(mean < 0.25 * rate, "{system}: {mean}");
    }
}

#[test]
fn so_it_is_with_adapters_accumulated_on_two_devices_and_with_further_passes() {
    let adapter = json!({"kind": "lora", "rank": 2, "match": ["blocks"]});
    is_the_same_training("sit", json!({"post_train": {"adapter": adapter}}));
    is_the_same_training("rae", json!({"post_train": {"accumulation": 2}}));
    is_the_same_training("sit", json!({"devices": ["cpu", "cpu"]}));
    is_the_same_training("sit", json!({"post_train": {"input": {"kind": "rollout", "steps": 1, "span": 0.5}}}));
}

#[derive(Module, Debug)]
struct Whole {
    layer: burn::nn::Linear,
}

impl PredictionNetwork<2> for Whole {
    type Condition = ();

    fn predict(&self, noisy: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
        self.layer.forward(noisy).into()
    }
}

#[test]
fn a_network_that_hands_over_no_block_is_told_so() {
    let device = Device::flex().autodiff();
    let network = Whole { layer: burn::nn::LinearConfig::new(3, 3).init(&device) };
    let strategy = StrategyConfig::mixflow(0.8).build(None).unwrap();
    let step = MixFlowTrainStep::<_, 2>::builder(network, strategy).with_checkpointing(Checkpointing::Blocks);
    let step = step.build().unwrap();
    let output = TrainStep::step(&step, FlowBatch::new(Tensor::ones([2, 3], &device), ()));
    assert!(output.grads.is_empty());
    let fault = step.fault().unwrap().to_string();
    assert!(fault.contains("`recomputed`") && fault.contains("take \"none\""), "{fault}");
}
