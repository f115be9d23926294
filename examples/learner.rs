//! Burn's learner, set up by yourself, around a network of your own. Run it twice: it resumes where it ended.
use burn::data::{dataloader::batcher::Batcher, dataset::InMemDataset};
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::prelude::*;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::FileMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};
use burn_mixflow::checkpoint::CheckpointSets;
use burn_mixflow::monitor::{TensorBoard, TensorBoardLogger, renderer};
use burn_mixflow::prelude::*;
use burn_mixflow::train::metrics;
use burn_mixflow::{Error, Result};
use std::{ops::Range, path::Path, sync::Arc};

const EPOCHS: usize = 10;
const STEPS_PER_EPOCH: usize = 150;

#[derive(Module, Debug)]
struct Mine {
    layers: [Linear; 2],
}

impl PredictionNetwork<2> for Mine {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
        let input = Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1);
        self.layers[1].forward(self.layers[0].forward(input).tanh()).into()
    }
}

struct Points;
impl Batcher<[f32; 2], FlowBatch<2, ()>> for Points {
    fn batch(&self, points: Vec<[f32; 2]>, device: &Device) -> FlowBatch<2, ()> {
        let values = TensorData::new(points.concat(), [points.len(), 2]);
        FlowBatch::new(Tensor::from_data(values, device), ())
    }
}

/// Points on a circle of radius 2; your data come here.
fn circle(range: Range<i32>) -> InMemDataset<[f32; 2]> {
    InMemDataset::new(range.map(|i| [2.0 * (i as f32).cos(), 2.0 * (i as f32).sin()]).collect())
}

/// The mean radius of 256 samples.
fn radius(network: &Mine) -> Result<f32> {
    let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Heun, 10, 256))?;
    let points = sampler.sample(network, &(), [256, 2], 0, &Device::flex(), &mut |_| ())?;
    Ok(points.square().sum_dim(1).sqrt().mean().into_scalar::<f32>())
}

fn main() -> Result<()> {
    let (folder, device, training) = (Path::new("runs/learner"), Device::flex(), Device::flex().autodiff());
    let network = Mine { layers: [(3, 64), (64, 2)].map(|(from, to)| LinearConfig::new(from, to).init(&training)) };
    println!("before: mean radius {:.2}, of the data 2", radius(&network.valid())?);
    let interrupter = Interrupter::new();
    let step = MixFlowTrainStep::<_, 2>::builder(network, StrategyConfig::mixflow(0.2).build(None)?)
        .with_clip(1.0)
        .with_interrupter(interrupter.clone()) // lets a loss that is not finite stop the run
        .build()?;
    let sets = CheckpointSets::open(folder.join("checkpoints"))?;
    let finished = sets.latest()?.unwrap_or(0); // epochs that an earlier call has done
    let train = EpochLoader::training(circle(0..2048), Points, &training)
        .with_batch_size(128)
        .with_batches_per_epoch(STEPS_PER_EPOCH)
        .with_finished_epochs(finished)
        .build()?;
    let valid = EpochLoader::validation(circle(2048..2304), Points, &device).with_batch_size(128).build()?;
    let board = TensorBoard::create(&folder.join("tensorboard"), (finished * STEPS_PER_EPOCH) as i64);
    let (model, optimizer, scheduler) = sets.parts();
    let mut run = SupervisedTraining::<MixFlowTrainStep<Mine, 2>>::new(folder, Arc::new(train), Arc::new(valid))
        .metrics((LossMetric::new(), metrics::step()))
        .with_metric_logger(FileMetricLogger::new(folder)) // Burn reads metrics back from it
        .with_metric_logger(TensorBoardLogger::new(board, 10))
        .with_custom_checkpointers(model, optimizer, scheduler)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_interrupter(interrupter.clone())
        .with_application_logger(None)
        .renderer(renderer("learner", interrupter, (finished > 0).then_some(finished)))
        .num_epochs(EPOCHS);
    if finished > 0 {
        run = run.checkpoint(finished);
    }
    let result = run.launch(Learner::new(step, AdamWConfig::new().init(), 3e-3));
    if let Some(error) = result.error {
        return Err(Error::Training(error.to_string())); // `launch` does not fail by itself
    }
    let average = result.model.ema(); // without autodiff: sample with it
    println!("after: mean radius {:.2}, of the data 2", radius(average)?);
    average.clone().save_file(folder.join("ema.bpk")).map_err(|e| Error::Invalid(e.to_string()))
}
