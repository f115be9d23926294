//! Your own class-conditional network, post-trained with MixFlow. Run it twice: it resumes where it ended.
use burn::data::{dataloader::batcher::Batcher, dataset::InMemDataset};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn_mixflow::prelude::*;

#[derive(Module, Debug)]
struct Mine {
    layers: [Linear; 2],
}

impl PredictionNetwork<2> for Mine {
    type Condition = Tensor<1, Int>;
    fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, classes: &Self::Condition) -> Prediction<2> {
        let input = Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1), classes.clone().one_hot::<2>(3).float()], 1);
        self.layers[1].forward(self.layers[0].forward(input).tanh()).into()
    }
    fn drop_condition(&self, classes: &Self::Condition, dropped: &[bool]) -> Option<Self::Condition> {
        Some(classes.clone().mask_fill(Tensor::from_data(dropped, &classes.device()), 2)) // 2: no class
    }
}

#[derive(Clone)]
struct Points;
impl Batcher<([f32; 2], i32), FlowBatch<2, Tensor<1, Int>>> for Points {
    fn batch(&self, items: Vec<([f32; 2], i32)>, device: &Device) -> FlowBatch<2, Tensor<1, Int>> {
        let (points, classes): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let points = TensorData::new(points.concat(), [classes.len(), 2]);
        FlowBatch::new(Tensor::from_data(points, device), Tensor::from_data(classes.as_slice(), device))
    }
}

fn main() -> burn_mixflow::Result<()> {
    let config = StageConfig::parse(include_str!("wrap_your_model.json"))?;
    let (device, training) = (Device::flex(), Device::flex().autodiff());
    let network = Mine { layers: [(6, 64), (64, 2)].map(|(from, to)| LinearConfig::new(from, to).init(&training)) };
    let ring = |i: i32| [(i as f32).cos(), (i as f32).sin()].map(|x| x * (1 + i % 2) as f32); // class 1 is twice as wide
    let data = |range: std::ops::Range<i32>| InMemDataset::new(range.map(|i| (ring(i), i % 2)).collect());
    let trained = Stage::new(&config, "runs/wrap_your_model").run(network, data(0..2048), data(2048..2304), Points)?;
    let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 10, 256))?;
    let points = sampler.sample(&trained.ema, &Tensor::ones([256], &device), [256, 2], 0, &device, &mut |_| ())?;
    let radii = points.square().sum_dim(1).sqrt();
    println!("256 samples of class 1: mean radius {:.2}, of the data 2", radii.mean().into_scalar::<f32>());
    Ok(())
}
