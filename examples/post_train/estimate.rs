//! Says how long the run will take, from a few timed steps.
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::module::Module;
use burn::train::TrainStep;
use burn_mixflow::experiment::config::RunConfig;
use burn_mixflow::experiment::{Experiment, image_batcher};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::random::SampleKey;
use burn_mixflow::train::MixFlowTrainStep;
use burn_mixflow::{Error, Result};
use std::time::Instant;

const TIMED_STEPS: usize = 8;

/// The first line the program prints.
pub fn first_line(config: &RunConfig, experiment: &Experiment, pretrained: bool) -> Result<String> {
    let Experiment { data, device, .. } = experiment;
    let stage = &config.post_train;
    let network = config.network.init(0, &device.clone().autodiff())?;
    let parameters = network.num_params();
    let mut step = MixFlowTrainStep::new(network, stage.strategy.build(None)?);
    let mut optimizer = stage.optimizer.build();
    let count = stage.batch_size.min(data.train.len());
    let items = (0..count).map(|i| data.train.get(i)).collect::<std::result::Result<Vec<_>, _>>();
    let items = items.map_err(|e| Error::Invalid(e.to_string()))?;
    let mut batch = image_batcher(data.shape).batch(items.clone(), &device.clone().autodiff());
    batch.keys = Some((0..count as u64).map(|position| SampleKey { seed: 0, epoch: 0, position }).collect());
    let mut one = |step: MixFlowTrainStep<_, 4>| {
        let grads = TrainStep::step(&step, batch.clone()).grads;
        step.optimize(&mut optimizer, 1e-6.into(), grads)
    };
    step = one(step);
    let started = Instant::now();
    for _ in 0..TIMED_STEPS {
        step = one(step);
    }
    let per_step = started.elapsed().as_secs_f64() / TIMED_STEPS as f64;

    let network = step.ema().clone().valid();
    let images = image_batcher(data.shape).batch(items, device);
    let time = burn::tensor::Tensor::<1>::zeros([count], device);
    let started = Instant::now();
    let _ = PredictionNetwork::<4>::predict(&network, images.data, time, &images.condition).output.into_data();
    let per_sample = started.elapsed().as_secs_f64() / count as f64;

    let seeds = config.seeds.len();
    let pretrain = if pretrained { 0 } else { config.pretrain.steps };
    let steps = pretrain + 2 * seeds * stage.steps;
    let larger = config.pretrain.batch_size as f64 / stage.batch_size as f64;
    let work = pretrain as f64 * larger + (2 * seeds * stage.steps) as f64;
    let evaluations: usize = config
        .evaluate
        .steps
        .iter()
        .map(|&steps| config.evaluate.sampler(steps).evaluations().unwrap_or_default())
        .sum();
    let samples = 3 * seeds * config.evaluate.samples * evaluations;
    let seconds = 1.2 * (work * per_step + samples as f64 * per_sample);
    let minutes = (seconds / 60.0).ceil();
    Ok(format!(
        "About {minutes} minute(s) on {}: {steps} training steps and {} samples of a network with {parameters} parameters{}.",
        config.device.0,
        3 * seeds * config.evaluate.samples * config.evaluate.steps.len(),
        if pretrained { ", pretraining cached" } else { "" },
    ))
}
