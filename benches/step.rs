//! What MixFlow costs over plain flow matching: one training step of the same network, and its random numbers.
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor};
use burn::train::TrainStep;
use burn_mixflow::models::{ResidualMlp, ResidualMlpConfig};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::timestep::StrategyConfig;
use burn_mixflow::train::{Draws, FlowBatch, MixFlowTrainStep};
use divan::{Bencher, black_box};

const BATCH: u64 = 128;
const MIXFLOW: StrategyConfig = StrategyConfig::mixflow(0.8);

fn main() {
    divan::main();
}

fn keys(count: u64, epoch: u64) -> Vec<SampleKey> {
    (0..count).map(|position| SampleKey { seed: 0, epoch, position }).collect()
}

/// Forward, backward, AdamW and EMA of the default network: width 192, depth 3, on 128 images of 1×16×16.
fn training(bencher: Bencher, strategy: StrategyConfig) {
    let device = Device::flex().autodiff();
    let network = ResidualMlpConfig::default().init(&device).expect("the default configuration is valid");
    let strategy = strategy.build(None).expect("the configuration is valid");
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().init();
    let mut state = Some(MixFlowTrainStep::<ResidualMlp, 4>::new(network, strategy));
    let images = normal(&keys(BATCH, 0), Purpose::Data, &[1, 16, 16]);
    let data = Tensor::<4>::from_data(images, &device);
    let labels = Tensor::<1, Int>::zeros([BATCH as usize], &device);
    let mut epoch = 0;
    bencher.counter(divan::counter::ItemsCount::new(BATCH)).bench_local(|| {
        epoch += 1;
        let keys = Some(keys(BATCH, epoch));
        let step = state.take().expect("put back by every round");
        let output = TrainStep::step(&step, FlowBatch { keys, ..FlowBatch::new(data.clone(), labels.clone()) });
        state = Some(step.optimize(&mut optimizer, 1e-4.into(), output.grads));
    });
}

#[divan::bench(sample_count = 60)]
fn standard_step(bencher: Bencher) {
    training(bencher, StrategyConfig::Standard {});
}

#[divan::bench(sample_count = 60)]
fn mixflow_step(bencher: Bencher) {
    training(bencher, MIXFLOW);
}

/// Noise of 1024 values and both timesteps for 256 samples.
#[divan::bench]
fn draws(bencher: Bencher) {
    let (device, keys) = (Device::flex(), keys(256, 0));
    let strategy = MIXFLOW.build(None).expect("the configuration is valid");
    let data = Tensor::<2>::zeros([256, 1024], &device);
    bencher
        .counter(divan::counter::ItemsCount::new(256 * 1024_u64))
        .bench_local(|| Draws::of(black_box(&keys), &data, strategy.as_ref()));
}
