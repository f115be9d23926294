//! A loop of your own, without Burn's learner: draw, interpolate, predict, compare, step, average.
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn_mixflow::prelude::*;

const BATCH: usize = 256;

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

/// Points on a circle of radius 2; your data come here.
fn batch(step: u64, device: &Device) -> Tensor<2> {
    let angle = (0..BATCH).map(|i| (step as usize * BATCH + i) as f32);
    let points: Vec<f32> = angle.flat_map(|a| [2.0 * a.cos(), 2.0 * a.sin()]).collect();
    Tensor::from_data(TensorData::new(points, [BATCH, 2]), device)
}

fn main() -> burn_mixflow::Result<()> {
    let device = Device::flex().autodiff();
    let mut network =
        Mine { first: LinearConfig::new(3, 64).init(&device), last: LinearConfig::new(64, 2).init(&device) };
    let strategy = StrategyConfig::mixflow(0.2).build(None)?;
    let objective = Objective::default();
    let mut ema = Ema::new(&network, EmaConfig::default())?;
    let mut optimizer = AdamWConfig::new().init();
    let mut sum = 0.0;
    for step in 0..2000 {
        let data = batch(step, &device);
        let draws = Draws::of(&SampleKey::batch(0, step, BATCH), &data, strategy.as_ref());
        let noisy = interpolate(&PathConfig::Linear, data.clone(), draws.noise.clone(), &draws.slowed());
        let output = network.predict(noisy, draws.training(&device), &()).output;
        let loss = objective.loss(output, data, draws.noise, &draws.timesteps).mean();
        sum += loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(3e-3, network, gradients);
        ema.update(&network);
        if (step + 1) % 250 == 0 {
            println!("step {:4}  loss {:.3}", step + 1, std::mem::take(&mut sum) / 250.0);
        }
    }
    let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 10, 256))?;
    let points = sampler.sample(&ema.network().valid(), &(), [256, 2], 0, &Device::flex(), &mut |_| ())?;
    let (radius, deviation) =
        (points.clone().square().sum_dim(1).sqrt(), points.square().sum_dim(1).sqrt().var(0).sqrt());
    println!("256 samples: radius {:.2} ± {:.2}", radius.mean().into_scalar::<f32>(), deviation.into_scalar::<f32>());
    Ok(())
}
