//! The files from which both sides start: weights under official names, and the draws of the first steps.
use crate::Outcome;
use crate::sizes::Training;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_mixflow::models::{Network, NetworkCondition, NetworkConfig};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::path::{PathConfig, interpolate};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::timestep::{StrategyConfig, TimestepStrategy};
use burn_mixflow::train::{Draws, FlowBatch};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};

/// The seed of weights and draws.
const SEED: u64 = 12;

/// Where the weights of a job lie.
pub fn weights(folder: &Path) -> PathBuf {
    folder.join("weights.safetensors")
}

/// The keys of the samples of a step.
pub fn keys(step: u64, batch: usize) -> Vec<SampleKey> {
    SampleKey::batch(SEED, step, batch)
}

/// The data that every step is made of, with their labels.
pub fn batch(training: &Training, device: &Device) -> Outcome<FlowBatch<4, NetworkCondition>> {
    let count = training.batch;
    let data = normal(&keys(0, count), Purpose::Data, &training.shape()?);
    let classes = training.network.classes().unwrap_or(1).max(1);
    let labels: Vec<i64> = (0..count).map(|i| (i % classes) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), device);
    Ok(FlowBatch::new(Tensor::from_data(data, device), labels.into()))
}

/// Writes the weights and the draws of `steps` steps into `folder`.
pub fn write(training: &Training, steps: usize, folder: &Path) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let device = Device::flex();
    let network = training.network.init(SEED, &device)?.map(&mut Stir { position: 0 });
    network.export(&weights(folder))?;
    let batch = batch(training, &device)?;
    let strategy = StrategyConfig::mixflow(training.gamma).build(None)?;
    let mut file = Columns::default();
    for step in 0..steps as u64 {
        file.push(training, &network, &batch, step, strategy.as_ref())?;
    }
    file.write(training, &batch, steps, &folder.join("draws.safetensors"))
}

/// Adds N(0, 0.02²) to every weight and N(0, 0.3²) to every bias: behind gates near zero no error would show in a loss.
struct Stir {
    position: u64,
}

impl ModuleMapper for Stir {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let key = SampleKey { seed: SEED, epoch: 1, position: self.position };
        self.position += 1;
        param.map(|weight| {
            let count = weight.shape().num_elements();
            let more = Tensor::<2>::from_data(normal(&[key], Purpose::Weights, &[count]), &weight.device());
            let shape = weight.dims();
            weight + more.reshape(shape) * if D == 1 { 0.3 } else { 0.02 }
        })
    }
}

/// What PyTorch is shown, step after step.
#[derive(Default)]
struct Columns {
    noisy: Vec<f32>,
    told: Vec<f32>,
    target: Vec<f32>,
    labels: Vec<i64>,
}

impl Columns {
    fn push(
        &mut self,
        training: &Training,
        network: &Network,
        batch: &FlowBatch<4, NetworkCondition>,
        step: u64,
        strategy: &dyn TimestepStrategy,
    ) -> Outcome<()> {
        let FlowBatch { data, condition, .. } = batch.clone();
        let keys = keys(step, training.batch);
        let draws = Draws::of(&keys, &data, strategy).with_dropout(&keys, training.condition_dropout);
        let condition = match draws.dropped.contains(&true) {
            true => network.drop_condition(&condition, &draws.dropped).ok_or("a network with a null label")?,
            false => condition,
        };
        let noisy = interpolate(&PathConfig::Linear, data.clone(), draws.noise.clone(), &draws.slowed());
        self.noisy.extend(noisy.into_data().iter::<f32>());
        self.told.extend(draws.timesteps.iter().map(|pair| pair.training));
        self.target.extend((data - draws.noise).into_data().iter::<f32>());
        self.labels.extend(condition.labels.into_data().iter::<i64>());
        Ok(())
    }

    fn write(
        &self,
        training: &Training,
        batch: &FlowBatch<4, NetworkCondition>,
        steps: usize,
        file: &Path,
    ) -> Outcome<()> {
        let (count, [channels, height, width]) = (training.batch, training.shape()?);
        let image = vec![steps, count, channels, height, width];
        let data: Vec<f32> = batch.data.to_data().iter::<f32>().collect();
        let labels: Vec<i64> = batch.condition.labels.to_data().iter::<i64>().collect();
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let whole = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let parts = [
            ("noisy", Dtype::F32, image.clone(), floats(&self.noisy)),
            ("t", Dtype::F32, vec![steps, count], floats(&self.told)),
            ("target", Dtype::F32, image.clone(), floats(&self.target)),
            ("labels", Dtype::I64, vec![steps, count], whole(&self.labels)),
            ("data", Dtype::F32, image[1..].to_vec(), floats(&data)),
            ("labels_of_data", Dtype::I64, vec![count], whole(&labels)),
        ];
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &parts {
            views.push((*name, TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        Ok(safetensors::serialize_to_file(views, None, file)?)
    }
}

/// The network of a job with the weights of its file.
pub fn network(config: &NetworkConfig, folder: &Path, device: &Device) -> Outcome<Network> {
    let (network, _) = config.init(SEED, device)?.import(&weights(folder), &Default::default())?;
    Ok(network)
}
