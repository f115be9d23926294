//! Sampling: solvers, steps and classifier-free guidance, on a network that is exact, so that what differs is the sampler.
use burn::module::Param;
use burn::prelude::*;
use burn_mixflow::prelude::*;

/// The exact velocity for data N(μ, s²) where μ depends on the class; your trained network stands here.
#[derive(Module, Debug)]
struct Exact {
    deviation: Param<Tensor<1>>,
}

impl PredictionNetwork<2> for Exact {
    type Condition = Tensor<1, Int>;
    fn predict(&self, x: Tensor<2>, timestep: Tensor<1>, class: &Tensor<1, Int>) -> Prediction<2> {
        // Classes 0 and 1 lie at −1 and 1; without a class, 2, the data lie at 0.
        let class = class.clone();
        let mean = (class.clone().equal_elem(1).float() - class.equal_elem(0).float()).unsqueeze_dim::<2>(1);
        let (t, s) = (timestep.unsqueeze_dim::<2>(1), self.deviation.val().unsqueeze::<2>());
        let noise = t.clone().neg() + 1.0;
        let slope = t.clone() * s.clone().square() - noise.clone();
        let variance = (t.clone() * s).square() + noise.square();
        (mean.clone() + (x - t * mean) * slope / variance).into()
    }
    fn drop_condition(&self, class: &Tensor<1, Int>, dropped: &[bool]) -> Option<Tensor<1, Int>> {
        Some(class.clone().mask_fill(Tensor::from_data(dropped, &class.device()), 2))
    }
}

fn main() -> burn_mixflow::Result<()> {
    let device = Device::flex();
    let network = Exact { deviation: Param::from_tensor(Tensor::from_floats([0.25], &device)) };
    let classes = Tensor::<1, Int>::ones([2000], &device);
    println!("class 1 has mean 1 and deviation 0.25\nsolver      steps  guidance  mean   deviation");
    for (solver, steps, scale) in [
        (SolverConfig::Euler, 5, 1.0),
        (SolverConfig::Euler, 50, 1.0),
        (SolverConfig::Heun, 5, 1.0),
        (SolverConfig::Heun, 25, 1.0),
        (SolverConfig::Heun, 25, 1.5),
        (SolverConfig::Heun, 25, 3.0),
    ] {
        let guidance = Some(GuidanceConfig::new(scale));
        let config = SamplerConfig { guidance, ..SamplerConfig::new(solver, steps, 500) };
        let sampler = Sampler::linear_velocity(config)?;
        let samples = sampler.sample(&network, &classes, [2000, 1], 0, &device, &mut |_| ())?;
        let (mean, deviation) =
            (samples.clone().mean().into_scalar::<f32>(), samples.var(0).sqrt().into_scalar::<f32>());
        println!("{:10}  {steps:5}  {scale:8}  {mean:.3}  {deviation:.3}", format!("{solver:?}"));
    }
    Ok(())
}
