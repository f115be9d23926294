//! What the probe, the runner and a pilot spend besides evaluating the network, at the size of the photos demo.
//!
//! `cargo bench --bench overhead`, or with `-- probe`, `-- cells`, `-- noise` or `-- training` one part of it.
//!
//! Prints shares of wall time. Of a cell, the fixed random convolutions count as measuring, not as network. Of a
//! training step, everything that Burn's learner and this crate do around the forward pass, the backward pass, the
//! optimizer and the EMA counts as overhead: loading, draws, metrics, event files, validation and checkpoints.
//!
//! `noise` says how many samples a second the thread that draws ahead can serve, which a device must not outrun.
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::TrainStep;
use burn_mixflow::data::{Item, ItemBatcher, stack_labels};
use burn_mixflow::experiment::config::ExperimentConfig;
use burn_mixflow::experiment::slow_flow::{
    GroundTruth, Networked, Probe, ProbeConfig, TimeRegressor, Tolerance, measure,
};
use burn_mixflow::experiment::{Distances, Experiment};
use burn_mixflow::models::{Network, NetworkCondition};
use burn_mixflow::network::{Prediction, PredictionNetwork};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep, TrainStepBuilder};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nanoseconds spent in the network since the last reset.
static INSIDE: AtomicU64 = AtomicU64::new(0);

/// A network that notes how long it is evaluated; the CPU backend has computed when a call returns.
#[derive(Module, Debug)]
struct Timed {
    network: Network,
}

impl PredictionNetwork<4> for Timed {
    type Condition = NetworkCondition;

    fn predict(&self, noisy: Tensor<4>, timestep: Tensor<1>, condition: &NetworkCondition) -> Prediction<4> {
        let started = Instant::now();
        let prediction = PredictionNetwork::<4>::predict(&self.network, noisy, timestep, condition);
        INSIDE.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        prediction
    }
}

/// Runs `work` and prints what share of its time was spent outside the network.
fn share<T>(what: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    INSIDE.store(0, Ordering::Relaxed);
    let started = Instant::now();
    let made = work()?;
    let (all, inside) = (started.elapsed().as_secs_f64(), INSIDE.load(Ordering::Relaxed) as f64 * 1e-9);
    println!("{what}: {all:.2} s, {:.1} % outside the network", 100.0 * (all - inside) / all);
    Ok(made)
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/photos/mixflow.json");
    let folder = std::env::temp_dir().join(format!("mixflow-overhead-{}", std::process::id()));
    let experiment = Experiment::open(ExperimentConfig::read(file)?, &folder)?;
    let config = experiment.config();
    let device = Device::flex();
    let network = config.network.init(0, &device.clone().autodiff())?;
    let timed = Timed { network: network.clone().valid() };

    let asked = |part: &str| {
        let mut parts = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|argument| argument == part)
    };
    let labels = |count: usize| -> NetworkCondition {
        Tensor::<1, Int>::from_data(TensorData::new(vec![0_i64; count], [count]), &device).into()
    };
    let first = config.samplers().into_iter().next().ok_or("a sampler")?;
    let sampler = |evaluations: usize| {
        let config = first.with_evaluations(evaluations, config.compare.batch_size).ok_or("steps for the budget")?;
        Ok::<_, Box<dyn Error>>(experiment.sampler(config)?)
    };

    let probe_config = ProbeConfig::default();
    let (count, path, data) = (probe_config.samples, config.flow.path.build(), experiment.data());
    let [channels, height, width] = data.shape;
    let places = GroundTruth::places(data.train.len(), count);
    let values = data.train.values(&places)?;
    let truth = GroundTruth::new(values, channels * height * width, places, path.clone(), probe_config.seed)?;
    let shape = [count, channels, height, width];
    let probe = Probe { truth: &truth, config: &probe_config, shape, device: &device };
    let source = Networked {
        network: &timed,
        prediction: config.flow.prediction,
        path,
        guidance: None,
        generated: labels(count),
        truth: labels(count),
    };
    let regressor = TimeRegressor::new(&truth)?;
    for &evaluations in config.compare.evaluations.iter().filter(|_| asked("probe")) {
        let sampler = sampler(evaluations)?;
        let found = share(&format!("probe, {evaluations} evaluations"), || Ok(measure(&probe, &source, &sampler)?))?;
        share(&format!("  tolerance of the data, {evaluations} evaluations"), || {
            Ok(Tolerance::measure(&probe, &regressor, &source, &found[0])?)
        })?;
    }

    let distances = Distances::new(&experiment, data)?;
    let samples = config.compare.samples;
    let many = labels(samples);
    for &evaluations in config.compare.evaluations.iter().filter(|_| asked("cells")) {
        let sampler = sampler(evaluations)?;
        share(&format!("a cell of {samples} samples, {evaluations} evaluations"), || {
            let drawn = sampler.sample(&timed, &many, [samples, channels, height, width], 0, &device, &mut |_| ())?;
            Ok(distances.measure(&drawn.into_data().iter::<f32>().collect::<Vec<_>>())?)
        })?;
    }

    if asked("noise") {
        for (what, shape) in
            [("latents of 256×256", [4, 32, 32]), ("RAE's latents", [768, 16, 16]), ("the photos", [1, 16, 16])]
        {
            println!("noise of {what}: one thread draws that of {:.0} samples a second", drawn_each_second(&shape));
        }
    }
    if !asked("training") {
        return Ok(());
    }
    let before = bare_step(&experiment, &network)?;
    let started = Instant::now();
    let trained = experiment.post_train(network.clone().valid(), &folder.join("training"), None)?;
    let all = started.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder)?;
    let steps = trained.steps as f64;
    // The machine may have become slower or faster meanwhile, so both are averages, and one lies around the other.
    let bare = 0.5 * (before + bare_step(&experiment, &network)?);
    println!(
        "training, {steps} steps: {:.2} ms a step, {:.1} % around forward, backward, optimizer and EMA",
        1e3 * all / steps,
        100.0 * (1.0 - bare * steps / all)
    );
    Ok(())
}

/// Seconds of a forward and backward pass with optimizer and EMA, nothing around them; the average.
fn bare_step(experiment: &Experiment, network: &Network) -> Result<f64, Box<dyn Error>> {
    use burn::data::{dataloader::batcher::Batcher, dataset::Dataset};
    const STEPS: u64 = 300;
    let (stage, data) = (&experiment.config().post_train, experiment.data());
    let items = (0..stage.batch_size).map(|i| data.train.get(i)).collect::<Result<Vec<_>, _>>()?;
    let batcher = ItemBatcher::new(data.shape, |items: &[Item], device: &Device| {
        NetworkCondition::from(stack_labels(items, device))
    });
    let batch: FlowBatch<4, NetworkCondition> = batcher.batch(items, &Device::flex().autodiff());
    let step =
        MixFlowTrainStep::<Network, 4>::builder(network.clone(), stage.strategy.build(None)?).with_ema(stage.ema);
    let mut step = stage.optimizer.clip.into_iter().fold(step, TrainStepBuilder::with_clip).build()?;
    let mut optimizer = stage.optimizer.build();
    let started = Instant::now();
    for epoch in 0..STEPS {
        let keys = (0..stage.batch_size as u64).map(|position| SampleKey { seed: 0, epoch, position }).collect();
        let output = TrainStep::step(&step, FlowBatch { keys: Some(keys), ..batch.clone() });
        step = step.optimize(&mut optimizer, 1e-4.into(), output.grads);
    }
    Ok(started.elapsed().as_secs_f64() / STEPS as f64)
}

/// Samples of a shape whose noise one thread draws in a second.
fn drawn_each_second(shape: &[usize]) -> f64 {
    const NUMBERS: usize = 4_000_000;
    let count = (NUMBERS / shape.iter().product::<usize>()).max(1);
    let keys = SampleKey::batch(0, 0, count);
    let draw = || {
        let started = Instant::now();
        std::hint::black_box(normal(&keys, Purpose::Noise, shape));
        started.elapsed().as_secs_f64()
    };
    let fastest = (0..5).map(|_| draw()).fold(f64::INFINITY, f64::min);
    count as f64 / fastest
}
