//! Your own network, trained with MixFlow by Burn's own learner. Run it twice: it resumes.
use burn::data::{dataloader::batcher::Batcher, dataset::InMemDataset};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor, activation::silu};
use burn::train::logger::FileMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};
use burn_mixflow::checkpoint::CheckpointSets;
use burn_mixflow::monitor::{TensorBoard, TensorBoardLogger, renderer};
use burn_mixflow::network::{Prediction, PredictionNetwork};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{EpochLoader, FlowBatch, MixFlowTrainStep, metrics};
use std::sync::Arc;

#[derive(Module, Debug)]
struct Mine {
    first: Linear,
    last: Linear,
}

impl PredictionNetwork<2> for Mine {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, timestep: Tensor<1>, _: &()) -> Prediction<2> {
        let input = Tensor::cat(vec![noisy, timestep.unsqueeze_dim(1)], 1);
        self.last.forward(silu(self.first.forward(input))).into()
    }
}

struct Points;
impl Batcher<[f32; 2], FlowBatch<2, ()>> for Points {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> FlowBatch<2, ()> {
        let count = items.len();
        FlowBatch::new(Tensor::<1>::from_floats(items.concat().as_slice(), device).reshape([count, 2]), ())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "runs/wrap_your_model".into());
    let strategy: StrategyConfig = serde_json::from_str(r#"{"kind": "mixflow", "gamma": 0.4}"#)?;
    let circle = (0..2048).map(|i| i as f32 * 0.1).map(|a| [a.cos(), a.sin()]).collect();
    let data = Arc::new(InMemDataset::<[f32; 2]>::new(circle));

    let device = Device::flex();
    let training_device = device.clone().autodiff();
    training_device.seed(0);
    let network = Mine {
        first: LinearConfig::new(3, 64).init(&training_device),
        last: LinearConfig::new(64, 2).init(&training_device),
    };
    let interrupter = Interrupter::new();
    let step = MixFlowTrainStep::new(network, strategy.build(None)?).with_interrupter(interrupter.clone());

    let sets = CheckpointSets::open(format!("{folder}/checkpoints"))?;
    let finished = sets.latest()?;
    let (model, optimizer, scheduler) = sets.parts();
    let train = EpochLoader::training(data.clone(), Points, &training_device, 128, 0, finished.unwrap_or(0))?;
    let valid = EpochLoader::validation(data, Points, &device, 512, 0)?;
    let board = TensorBoard::create(format!("{folder}/tensorboard").as_ref(), finished.unwrap_or(0) as i64 * 16);
    let training = SupervisedTraining::new(&folder, Arc::new(train), Arc::new(valid))
        .metrics((LossMetric::new(), metrics::step()))
        .with_metric_logger(FileMetricLogger::new(&folder))
        .with_metric_logger(TensorBoardLogger::new(board, 1))
        .with_custom_checkpointers(model, optimizer, scheduler)
        .with_interrupter(interrupter.clone())
        .with_application_logger(None)
        .renderer(renderer("wrap_your_model", interrupter, finished))
        .num_epochs(finished.unwrap_or(0) + 5);
    let training = finished.into_iter().fold(training, |training, epoch| training.checkpoint(epoch));

    let result = training.launch(Learner::new(step, AdamWConfig::new().init(), 1e-3));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }
    println!("{} optimizer steps so far; run again to go on, delete {folder} to begin anew", result.model.updates());
    Ok(())
}
