//! What a training run promises: off is off, micro-batches and devices add up, a bad batch changes nothing.
mod device;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::FileMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, LearningResult, MultiDeviceOptim, SupervisedTraining, TrainStep,
};
use burn_mixflow::checkpoint::CheckpointSets;
use burn_mixflow::models::{ResidualMlp, ResidualMlpConfig};
use burn_mixflow::monitor::PlainRenderer;
use burn_mixflow::network::{Prediction, PredictionNetwork};
use burn_mixflow::random::{Purpose, SampleKey, normal};
use burn_mixflow::sample::{Sampler, SamplerConfig, SolverConfig};
use burn_mixflow::timestep::{GammaDecay, StrategyConfig, TimestepStrategy};
use burn_mixflow::train::{
    AntiDriftConfig, EmaConfig, EpochLoader, EpochLoaderBuilder, Fault, FlowBatch, FlowOutput, MagnitudeConfig,
    MixFlowTrainStep, TrainStepBuilder,
};
use rand::RngExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RATE: f64 = 1.0;

type Sample = (Vec<f32>, i64);
type Batch<const D: usize> = FlowBatch<D, Tensor<1, Int>>;

fn device() -> Device {
    device::device().autodiff()
}

fn strategy(config: StrategyConfig) -> Arc<dyn TimestepStrategy> {
    config.build(None).unwrap()
}

fn mixflow() -> Arc<dyn TimestepStrategy> {
    strategy(StrategyConfig::mixflow(0.8))
}

/// A small network whose gates and output are not zero.
fn network(classes: usize) -> ResidualMlp {
    struct Stir(u64);
    impl burn::module::ModuleMapper for Stir {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let key = SampleKey { seed: 9, epoch: 0, position: self.0 };
            param.map(|tensor| {
                let shape = tensor.dims();
                let noise = normal(&[key], Purpose::Weights, &[shape.iter().product()]);
                let noise = Tensor::<2>::from_data(noise, &tensor.device()).reshape(shape);
                tensor + noise * 0.2
            })
        }
    }
    let config =
        ResidualMlpConfig { size: 4, width: 12, depth: 1, embedding: 8, num_classes: classes, ..Default::default() };
    config.init(&device::device()).unwrap().map(&mut Stir(0)).train()
}

fn keys(positions: std::ops::Range<u64>) -> Vec<SampleKey> {
    positions.map(|position| SampleKey { seed: 5, epoch: 2, position }).collect()
}

/// Samples with the numbers of `positions`, and their keys.
fn batch(positions: std::ops::Range<u64>) -> Batch<4> {
    let keys = keys(positions);
    let n = keys.len();
    let data = Tensor::from_data(normal(&keys, Purpose::Data, &[1, 4, 4]), &device());
    let labels: Vec<i64> = keys.iter().map(|k| (k.position % 3) as i64).collect();
    FlowBatch { keys: Some(keys), ..FlowBatch::new(data, Tensor::from_data(TensorData::new(labels, [n]), &device())) }
}

fn unkeyed(positions: std::ops::Range<u64>) -> Batch<4> {
    FlowBatch { keys: None, ..batch(positions) }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn weights<M: Module>(module: &M) -> Vec<f32> {
    struct All(Vec<f32>);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(values(param.val()));
        }
    }
    let mut all = All(Vec::new());
    module.visit(&mut all);
    all.0
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    norm(a.iter().zip(b).map(|(a, b)| a - b))
}

type Step<const D: usize> = MixFlowTrainStep<ResidualMlp, D>;

fn forward(step: &Step<4>, batch: Batch<4>) -> FlowOutput {
    TrainStep::step(step, batch).item
}

fn validate(step: &Step<4>, batch: Batch<4>) -> Vec<f32> {
    values(InferenceStep::step(step, batch).loss)
}

fn update(step: Step<4>, optimizer: &mut ModuleOptimizer, batch: Batch<4>) -> Step<4> {
    let grads = TrainStep::step(&step, batch).grads;
    step.optimize(optimizer, RATE.into(), grads)
}

#[test]
fn standard_is_plain_flow_matching_bit_for_bit() {
    let network = network(3);
    let step = Step::<4>::new(network.clone(), strategy(StrategyConfig::Standard {}));
    let Batch { data, condition, keys, .. } = batch(0..8);
    let keys = keys.unwrap();
    let output = TrainStep::step(&step, FlowBatch { keys: Some(keys.clone()), ..batch(0..8) });

    let noise = Tensor::<4>::from_data(normal(&keys, Purpose::Noise, &[1, 4, 4]), &device());
    let t: Vec<f32> = keys.iter().map(|k| k.rng(Purpose::Timesteps).random::<f64>() as f32).collect();
    let told = Tensor::<1>::from_data(TensorData::new(t, [8]), &device());
    let time = told.clone().reshape([8, 1, 1, 1]);
    let input = data.clone() * time.clone() + noise.clone() * (time.neg() + 1.0);
    let velocity = PredictionNetwork::<4>::predict(&network, input, told, &condition).output;
    let loss = (velocity - (data - noise)).square().reshape([8, 16]).mean_dim(1).reshape([8]);
    let mut grads = loss.clone().mean().backward();
    let grads = GradientsParams::from_module(&mut grads, &network);

    assert_eq!(values(output.item.loss), values(loss));
    let mut sgd = SgdConfig::new().init();
    let plain = sgd.step(RATE, network.clone(), grads);
    let ours = step.optimize(&mut SgdConfig::new().init(), RATE.into(), output.grads);
    assert_ne!(weights(&plain), weights(&network));
    assert_eq!(weights(ours.network()), weights(&plain));
}

/// A further loss that a weight scales: it adds up to `most` for a weight of 1, twice as much for 2, changes neither draws nor
/// validation, and moves the network less where it weighs less.
#[track_caller]
fn adds_its_weight(plain: &Step<4>, with: impl Fn(f64) -> Step<4>, most: f32) {
    let losses = |step: &Step<4>| values(forward(step, batch(0..8)).loss);
    let (none, one, two) = (losses(plain), losses(&with(1.0)), losses(&with(2.0)));
    for ((none, one), two) in none.iter().zip(&one).zip(&two) {
        let added = one - none;
        assert!(added > 0.0 && added <= most + 1e-5, "{added}");
        assert!((two - none - 2.0 * added).abs() < 1e-5, "{none} {one} {two}");
    }
    // The same data, timesteps and noise, and the same validation.
    assert_eq!(forward(&with(1.0), batch(0..8)).timesteps, forward(plain, batch(0..8)).timesteps);
    assert_eq!(validate(&with(1.0), unkeyed(0..8)), validate(plain, unkeyed(0..8)));

    let moved = |step: Step<4>| weights(update(step, &mut SgdConfig::new().init(), batch(0..8)).network());
    let (near, far) = (moved(with(1e-4)), moved(with(1.0)));
    assert_ne!(near, far);
    assert!(distance(&near, &moved(plain.clone())) < 1e-3 * distance(&far, &moved(plain.clone())));
}

#[test]
fn anti_drift_adds_its_weight_and_is_off_bit_for_bit() {
    let plain = Step::<4>::new(network(3), strategy(StrategyConfig::Standard {}));
    let builder = || Step::<4>::builder(network(3), strategy(StrategyConfig::Standard {}));
    let with = |weight: f64| builder().with_anti_drift(AntiDriftConfig { weight }).build().unwrap();
    adds_its_weight(&plain, with, 4.0);
}

#[test]
fn the_magnitude_loss_adds_its_weight_to_every_strategy_and_leaves_validation_alone() {
    let plain = Step::<4>::new(network(3), mixflow());
    let with = |weight: f64| {
        Step::<4>::builder(network(3), mixflow())
            .with_magnitude(MagnitudeConfig { weight, power: 1.0 })
            .build()
            .unwrap()
    };
    adds_its_weight(&plain, with, f32::INFINITY);
}

#[test]
fn a_decaying_gamma_is_that_of_the_step() {
    let decaying = || strategy(StrategyConfig::Decaying { gamma: 0.4, final_gamma: 0.0, decay: GammaDecay::Linear });
    let steps = 5;
    let mut step = Step::<4>::builder(network(3), decaying()).with_steps(steps).build().unwrap();
    // One step more than the training has: it draws as the last one.
    for (done, gamma) in [0.4, 0.3, 0.2, 0.1, 0.0, 0.0].into_iter().enumerate() {
        assert_eq!(step.updates(), done as u64);
        let expected = Step::<4>::new(network(3), strategy(StrategyConfig::mixflow(gamma)));
        let (found, expected) = (forward(&step, batch(0..64)).timesteps, forward(&expected, batch(0..64)).timesteps);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.training, expected.training);
            assert!((found.slowed - expected.slowed).abs() < 1e-6, "step {done}: {found:?}, not {expected:?}");
        }
        step = update(step, &mut SgdConfig::new().init(), batch(0..8));
    }
    let refused = Step::<4>::builder(network(3), decaying()).build().unwrap_err().to_string();
    assert!(refused.contains("steps = 0: must be at least 1 for a strategy that changes over them"), "{refused}");
    let alone = Step::<4>::builder(network(3), decaying()).with_steps(1).build().unwrap();
    let first = Step::<4>::new(network(3), strategy(StrategyConfig::mixflow(0.4)));
    assert_eq!(forward(&alone, batch(0..8)).timesteps, forward(&first, batch(0..8)).timesteps);
}

#[test]
fn two_micro_batches_make_the_update_of_one_batch() {
    for clip in [None, Some(0.05)] {
        let build = |micro_batches| {
            let step = Step::<4>::builder(network(3), mixflow()).with_micro_batches(micro_batches);
            clip.into_iter().fold(step, TrainStepBuilder::with_clip).build().unwrap()
        };
        let step = build(1);
        let start = weights(step.network());
        let whole = update(step, &mut SgdConfig::new().init(), batch(0..16));
        let micro = build(2);
        let mut accumulator = GradientsAccumulator::new();
        for part in [batch(0..8), batch(8..16)] {
            accumulator.accumulate(&micro, TrainStep::step(&micro, part).grads);
        }
        let micro = micro.optimize(&mut SgdConfig::new().init(), RATE.into(), accumulator.grads());
        let (whole, micro) = (weights(whole.network()), weights(micro.network()));
        let moved = distance(&whole, &start);
        let length = norm(start.iter().copied());
        assert!(clip.is_none_or(|c| (moved - c).abs() < 1e-4 * c), "the clip was not on: moved by {moved}");
        assert!(moved > 1e-3 * length, "moved by {moved} of {length}");
        let error = distance(&whole, &micro) / norm(whole.iter().copied());
        assert!(error < 1e-6, "{clip:?}: {error}");
    }
}

struct Images;

impl Batcher<Sample, Batch<4>> for Images {
    fn batch(&self, items: Vec<Sample>, device: &Device) -> Batch<4> {
        let n = items.len();
        let (data, labels): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let data = Tensor::from_data(TensorData::new(data.concat(), [n, 1, 4, 4]), device);
        FlowBatch::new(data, Tensor::from_data(TensorData::new(labels, [n]), device))
    }
}

fn samples(count: u64) -> Vec<Sample> {
    (0..count).map(|p| (normal(&keys(p..p + 1), Purpose::Data, &[16]).iter().collect(), (p % 3) as i64)).collect()
}

fn loader_of(samples: Vec<Sample>, batch: usize) -> EpochLoaderBuilder<Sample, 4, Tensor<1, Int>> {
    EpochLoader::training(InMemDataset::new(samples), Images, &device()).with_batch_size(batch).with_seed(7)
}

fn loader(samples: Vec<Sample>, batch: usize) -> EpochLoader<Sample, 4, Tensor<1, Int>> {
    loader_of(samples, batch).build().unwrap()
}

fn validation(samples: Vec<Sample>) -> EpochLoader<Sample, 4, Tensor<1, Int>> {
    let loader = EpochLoader::validation(InMemDataset::new(samples), Images, &device::device());
    loader.with_batch_size(8).with_seed(7).build().unwrap()
}

fn training(folder: &Path, train: EpochLoader<Sample, 4, Tensor<1, Int>>) -> SupervisedTraining<Step<4>> {
    SupervisedTraining::new(folder, Arc::new(train), Arc::new(validation(samples(8))))
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_metric_logger(FileMetricLogger::new(folder))
        .with_application_logger(None)
        .renderer(Box::new(PlainRenderer::to("", Duration::MAX, Box::new(std::io::sink()))))
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
}

#[test]
fn two_devices_train_like_one_with_the_double_batch() {
    let run = |batch: usize, clip: Option<f64>, execution: ExecutionStrategy| -> Step<4> {
        let folder = tempfile::tempdir().unwrap();
        let devices = 16 / batch;
        let run = training(folder.path(), loader(samples(70), batch)).num_epochs(2);
        let step = Step::<4>::builder(network(3), mixflow())
            .with_ema(EmaConfig { decay: 0.5, ramp: false })
            .with_micro_batches(devices)
            .with_interrupter(run.interrupter());
        let step = clip.into_iter().fold(step, TrainStepBuilder::with_clip).build().unwrap();
        let sgd = SgdConfig::new().init();
        let result: LearningResult<_> =
            run.with_training_strategy(execution.into()).launch(Learner::new(step, sgd, 0.1));
        assert!(result.error.is_none(), "{:?}", result.error);
        result.model
    };
    for clip in [None, Some(0.5)] {
        let one = run(16, clip, ExecutionStrategy::SingleDevice(device()));
        assert_eq!(one.updates(), 8);
        let whole = weights(one.network());
        assert!(distance(&whole, &weights(&network(3))) > 1e-2 * norm(whole.iter().copied()));
        for optim in [MultiDeviceOptim::OptimMainDevice, MultiDeviceOptim::OptimSharded] {
            let two = run(8, clip, ExecutionStrategy::multi(vec![device(); 2], optim));
            assert_eq!(two.updates(), 8);
            for (one, two) in [(one.network(), two.network()), (one.ema(), two.ema())] {
                let (one, two) = (weights(one), weights(two));
                let error = distance(&one, &two) / norm(one.iter().copied());
                assert!(error < 1e-5, "{clip:?}: {error}");
            }
        }
    }
}

#[test]
fn a_bad_batch_stops_the_run_before_its_update() {
    let clean = samples(32);
    let third = loader(clean.clone(), 8).iter().nth(2).unwrap().unwrap();
    let first = values(third.data.narrow(0, 0, 1));
    let mut bad = clean;
    let spoiled = bad.iter_mut().find(|(data, _)| *data == first).unwrap();
    spoiled.0[5] = f32::NAN;

    let folder = tempfile::tempdir().unwrap();
    let sets = CheckpointSets::open(folder.path().join("checkpoint")).unwrap();
    let (model, optim, scheduler) = sets.parts();
    let run = training(folder.path(), loader_of(bad, 8).with_batches_per_epoch(1).build().unwrap())
        .with_custom_checkpointers(model, optim, scheduler)
        .num_epochs(4);
    let step = Step::<4>::builder(network(3), mixflow()).with_interrupter(run.interrupter()).build().unwrap();
    let result = run.launch(Learner::new(step, SgdConfig::new().init(), 0.1));

    let error = result.error.expect("the run must fail").to_string();
    assert!(error.contains("optimizer step 2") && error.contains("position 16 of epoch 0"), "{error}");
    let Some(Fault::NonFinite { step, norm, batch }) = result.model.fault() else { panic!("a non-finite gradient") };
    assert_eq!((step, batch.unwrap().position), (2, 16));
    assert!(norm.is_nan());
    assert_eq!(result.model.updates(), 2);
    assert!(weights(&result.model).iter().all(|w| w.is_finite()));
    assert_eq!(sets.latest().unwrap(), Some(2));
    let saved = burn::store::ModuleRecord::load(sets.part_path(2, "model")).unwrap();
    let saved = Step::<4>::new(network(3), mixflow()).load_record(saved);
    assert_eq!(weights(saved.network()), weights(result.model.network()));
    assert_eq!(weights(saved.ema()), weights(result.model.ema()));
}

#[test]
fn dropping_conditions_without_a_null_condition_makes_no_update() {
    let plain = ResidualMlpConfig { size: 4, width: 12, depth: 1, embedding: 8, num_classes: 0, ..Default::default() };
    let network = plain.init(&device()).unwrap();
    let step = Step::<4>::builder(network.clone(), mixflow()).with_condition_dropout(1.0).build().unwrap();
    let step = update(step, &mut SgdConfig::new().init(), batch(0..8));
    assert_eq!(step.fault(), Some(Fault::NoNullCondition));
    assert_eq!(weights(step.network()), weights(&network));
}

#[test]
fn validation_depends_on_the_weights_alone() {
    let network = network(3);
    let standard = Step::<4>::new(network.clone(), strategy(StrategyConfig::Standard {}));
    let mix = |decay: f64| {
        let ema = EmaConfig { decay, ramp: false };
        let step = Step::<4>::builder(network.clone(), mixflow()).with_condition_dropout(1.0).with_ema(ema);
        step.build().unwrap()
    };
    let loader = validation(samples(20));
    let pass = |step: &Step<4>| loader.iter().flat_map(|b| validate(step, b.unwrap())).collect::<Vec<_>>();
    let losses = pass(&standard);
    assert_eq!(losses.len(), 20);
    assert_eq!(pass(&standard), losses);
    assert_eq!(pass(&mix(0.5)), losses);
    // Training in between moves the draws of training, not those of validation.
    let frozen = update(mix(1.0 - f64::EPSILON), &mut SgdConfig::new().init(), batch(0..8));
    assert_ne!(weights(frozen.network()), weights(&network));
    assert_eq!(pass(&frozen), losses);

    let free = validate(&standard, unkeyed(0..8));
    assert_eq!(validate(&standard, unkeyed(0..8)), free);
    assert_eq!(validate(&frozen, unkeyed(0..8)), free);
    assert_eq!(validate(&standard, unkeyed(4..12))[..4], free[4..]);
    assert_ne!(forward(&standard, unkeyed(0..8)).timesteps, InferenceStep::step(&standard, unkeyed(0..8)).timesteps);
}

#[test]
fn batches_without_keys_draw_anew_each_step_and_the_same_after_a_resume() {
    let fresh = || Step::<4>::builder(network(3), mixflow()).with_seed(11).build().unwrap();
    let sgd = || SgdConfig::new().init();
    let mut step = fresh();
    let mut seen = Vec::new();
    let mut record = None;
    for round in 0..4 {
        if round == 2 {
            record = Some(step.clone().into_record());
        }
        let micro = [forward(&step, unkeyed(0..8)), forward(&step, unkeyed(0..8))];
        assert_eq!(micro[0].step, round);
        seen.extend(micro.map(|o| (o.timesteps, values(o.loss))));
        step = update(step, &mut sgd(), batch(0..8));
    }
    for (i, a) in seen.iter().enumerate() {
        assert!(seen[..i].iter().all(|b| a.0 != b.0), "draw {i} was made before");
    }
    let mut resumed = fresh().load_record(record.unwrap());
    for round in 2..4 {
        let micro = [forward(&resumed, unkeyed(0..8)), forward(&resumed, unkeyed(0..8))];
        assert_eq!(micro[0].step, round);
        let micro = micro.map(|o| (o.timesteps, values(o.loss)));
        assert_eq!(micro[..], seen[2 * round as usize..2 * round as usize + 2]);
        resumed = update(resumed, &mut sgd(), batch(0..8));
    }
}

/// Records the labels it is given; label 3 is the null label.
#[derive(Module, Debug)]
struct Recorder {
    layer: Linear,
    #[module(skip)]
    seen: Arc<Mutex<Vec<Vec<i64>>>>,
}

impl PredictionNetwork<2> for Recorder {
    type Condition = Tensor<1, Int>;
    fn predict(&self, noisy: Tensor<2>, _: Tensor<1>, labels: &Tensor<1, Int>) -> Prediction<2> {
        self.seen.lock().unwrap().push(labels.to_data().iter().collect());
        self.layer.forward(noisy).into()
    }
    fn drop_condition(&self, labels: &Tensor<1, Int>, dropped: &[bool]) -> Option<Tensor<1, Int>> {
        let labels = labels.to_data();
        let labels: Vec<i64> = labels.iter::<i64>().zip(dropped).map(|(l, d)| if *d { 3 } else { l }).collect();
        Some(Tensor::from_data(TensorData::new(labels, [dropped.len()]), &device()))
    }
}

#[test]
fn condition_dropout_drops_what_it_says_and_moves_no_other_draw() {
    let layer = LinearConfig::new(5, 5).init(&device());
    let run = |probability: f64| {
        let network = Recorder { layer: layer.clone(), seen: Arc::default() };
        let seen = network.seen.clone();
        let step = MixFlowTrainStep::<_, 2>::builder(network, mixflow());
        let step = step.with_condition_dropout(probability).build().unwrap();
        let keys = keys(0..64);
        let data = Tensor::from_data(normal(&keys, Purpose::Data, &[5]), &device());
        let labels = Tensor::from_data(TensorData::new((0..64_i64).map(|i| i % 3).collect(), [64]), &device());
        let output = TrainStep::step(&step, FlowBatch { keys: Some(keys), ..FlowBatch::new(data, labels) }).item;
        let labels = seen.lock().unwrap().pop().unwrap();
        (labels, output.timesteps, values(output.loss))
    };
    let labels: Vec<i64> = (0..64).map(|i| i % 3).collect();
    let (kept, timesteps, loss) = run(0.0);
    assert_eq!(kept, labels);
    for (probability, range) in [(1.0, 64..=64), (0.5, 16..=48)] {
        let (dropped, other_timesteps, other_loss) = run(probability);
        assert!(range.contains(&dropped.iter().filter(|l| **l == 3).count()), "{dropped:?}");
        assert!(dropped.iter().zip(&labels).all(|(d, l)| d == l || *d == 3));
        assert_eq!((&other_timesteps, &other_loss), (&timesteps, &loss));
    }
    for impossible in [-0.1, 1.1, f64::NAN] {
        assert!(Step::<4>::builder(network(3), mixflow()).with_condition_dropout(impossible).build().is_err());
    }
}

#[test]
fn the_ema_is_the_recursion_over_the_weights() {
    for ema in [EmaConfig { decay: 0.7, ramp: false }, EmaConfig { decay: 0.25, ramp: true }] {
        let mut step = Step::<4>::builder(network(3), mixflow()).with_ema(ema).build().unwrap();
        let mut sgd = SgdConfig::new().init();
        let mut expected: Vec<f64> = weights(step.network()).into_iter().map(f64::from).collect();
        for k in 0..6 {
            step = update(step, &mut sgd, batch(8 * k..8 * k + 8));
            let decay = if ema.ramp { ema.decay.min((1.0 + k as f64) / (10.0 + k as f64)) } else { ema.decay };
            for (e, w) in expected.iter_mut().zip(weights(step.network())) {
                *e = decay * *e + (1.0 - decay) * f64::from(w);
            }
        }
        let found = weights(step.ema());
        let expected: Vec<f32> = expected.into_iter().map(|e| e as f32).collect();
        assert!(distance(&found, &weights(step.network())) > 1e-3);
        let error = distance(&found, &expected) / norm(expected.iter().copied());
        assert!(error < 1e-6, "{error}");
    }
}

#[test]
fn vectors_and_images_train_alike() {
    let image = Step::<4>::new(network(3), mixflow());
    let vector = Step::<2>::new(network(3), mixflow());
    let Batch { data, condition, keys, .. } = batch(0..8);
    let flat = FlowBatch { keys, ..FlowBatch::new(data.reshape([8, 16]), condition) };
    let (image_output, vector_output) = (TrainStep::step(&image, batch(0..8)), TrainStep::step(&vector, flat));
    assert_eq!(values(image_output.item.loss), values(vector_output.item.loss));
    let image = image.optimize(&mut SgdConfig::new().init(), RATE.into(), image_output.grads);
    let vector = vector.optimize(&mut SgdConfig::new().init(), RATE.into(), vector_output.grads);
    assert_ne!(weights(image.network()), weights(&network(3)));
    assert_eq!(weights(image.network()), weights(vector.network()));
}

/// Returns one number for all features, which would broadcast.
#[derive(Module, Debug)]
struct Narrow {
    layer: Linear,
}

impl PredictionNetwork<2> for Narrow {
    type Condition = ();
    fn predict(&self, noisy: Tensor<2>, _: Tensor<1>, _: &()) -> Prediction<2> {
        self.layer.forward(noisy).into()
    }
}

#[test]
fn a_prediction_of_another_shape_is_an_error_with_both_shapes() {
    for outputs in [1, 3] {
        let network = Narrow { layer: LinearConfig::new(4, outputs).init(&device()) };
        let data = Tensor::<2>::ones([8, 4], &device());
        let step = MixFlowTrainStep::<_, 2>::new(network.clone(), mixflow());
        let output = TrainStep::step(&step, FlowBatch::new(data.clone(), ()));
        let fault = step.fault().unwrap().to_string();
        let both = format!("`predict` returned the shape [8, {outputs}] for an input of shape [8, 4]");
        assert!(fault.contains(&both), "{fault}");
        assert!(values(output.item.loss).iter().all(|loss| loss.is_nan()));
        let step = step.optimize(&mut SgdConfig::new().init(), RATE.into(), output.grads);
        assert_eq!((step.updates(), weights(step.network())), (0, weights(&network)));

        let step = MixFlowTrainStep::<_, 2>::new(network.clone(), mixflow());
        InferenceStep::step(&step, FlowBatch::new(data, ()));
        assert!(matches!(step.fault(), Some(Fault::PredictionShape(_))));

        let config = SamplerConfig::new(SolverConfig::Heun, 3, 8);
        let sampler = Sampler::linear_velocity(config).unwrap();
        let sampled = sampler.sample(&network.valid(), &(), [8, 4], 0, &device::device(), &mut |_| ());
        assert!(sampled.unwrap_err().to_string().contains(&both));
    }
}

#[test]
fn what_is_masked_teaches_nothing_and_a_wrong_mask_is_an_error() {
    let loss = |junk: f32, weight: Tensor<2>| {
        let network = Narrow { layer: LinearConfig::new(4, 4).with_initializer(ONES).init(&device()) };
        let step = MixFlowTrainStep::<_, 2>::new(network, mixflow());
        let data = Tensor::from_floats([[1.0, 2.0, 3.0, junk], [0.5, 1.5, -1.0, junk]], &device());
        let batch = FlowBatch::new(data, ()).with_weight(weight).with_keys(keys(0..2));
        let output = TrainStep::step(&step, batch);
        let gradient = output.grads.get::<2>(step.network().layer.weight.id).map(values);
        (values(output.item.loss), gradient, step.fault())
    };
    let mask = || Tensor::<2>::from_floats([[1.0, 1.0, 1.0, 0.0]; 2], &device());
    let (found, gradient, fault) = loss(0.0, mask());
    assert!(fault.is_none() && gradient.unwrap().iter().skip(3).step_by(4).all(|g| *g == 0.0));
    assert!(found.iter().all(|loss| *loss > 0.0));
    let (_, none, fault) = loss(0.0, Tensor::ones([1, 4], &device()));
    assert!(none.is_none() && matches!(fault, Some(Fault::WeightShape { .. })));
    assert!(fault.unwrap().to_string().contains("shape [1, 4], its data [2, 4]"));
}

const ONES: burn::nn::Initializer = burn::nn::Initializer::Ones;
