//! A law of timesteps of your own: the slowed timestep lags most in the middle, `m = t − c·t(1 − t)·u`.
//!
//! It draws from the generator it is given, so your `Cargo.toml` needs `rand = "0.10"` too.
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::train::TrainStep;
use burn_mixflow::prelude::*;
use rand::{Rng, RngExt};
use std::sync::Arc;

/// `t ~ U`, `m = t − lag·t(1 − t)·u`, u ~ U. Equal generators must give equal pairs, so it keeps no state.
#[derive(Debug)]
struct MiddleLags {
    /// c in [0, 1], so that 0 ≤ m ≤ t.
    lag: f32,
}

impl TimestepStrategy for MiddleLags {
    fn sample(&self, rng: &mut dyn Rng) -> Timesteps {
        let (t, u): (f32, f32) = (rng.random(), rng.random());
        Timesteps { training: t, slowed: t - self.lag * t * (1.0 - t) * u }
    }
}

#[derive(Module, Debug)]
struct Mine {
    first: Linear,
    last: Linear,
}

impl PredictionNetwork<2> for Mine {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
        let input = Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1);
        self.last.forward(self.first.forward(input).tanh()).into()
    }
}

fn main() -> burn_mixflow::Result<()> {
    let device = Device::flex().autodiff();
    let network = Mine { first: LinearConfig::new(3, 64).init(&device), last: LinearConfig::new(64, 2).init(&device) };
    // The same step goes into Burn's `Learner`; here it is stepped by hand.
    let mut step =
        MixFlowTrainStep::<_, 2>::builder(network, Arc::new(MiddleLags { lag: 0.8 })).with_clip(1.0).build()?;
    let mut optimizer = AdamWConfig::new().init();
    let circle: Vec<f32> = (0..256).flat_map(|i| [2.0 * (i as f32).cos(), 2.0 * (i as f32).sin()]).collect();
    let data = Tensor::<2>::from_data(TensorData::new(circle, [256, 2]), &device);
    let mut sum = 0.0;
    for count in 1..=1000 {
        let output = TrainStep::step(&step, FlowBatch::new(data.clone(), ()));
        sum += output.item.loss.mean().into_scalar::<f32>();
        step = step.optimize(&mut optimizer, 3e-3.into(), output.grads);
        if count % 200 == 0 {
            println!("step {count:4}  loss {:.3}", std::mem::take(&mut sum) / 200.0);
        }
    }
    Ok(())
}
