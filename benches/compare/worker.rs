//! Our side: one network in one process, which answers the commands of [`protocol`](crate::protocol).
use crate::median::median;
use crate::protocol::{Command, Hello, Losses, Memory, Pairs, Times, job, serve};
use crate::sizes::{Job, Training};
use crate::{Outcome, machine, prepare};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;
use burn_mixflow::models::{Network, NetworkCondition};
use burn_mixflow::network::PredictionNetwork;
use burn_mixflow::random::Purpose;
use burn_mixflow::sample::{Sampler, SamplerConfig, SolverConfig};
use burn_mixflow::timestep::{StrategyConfig, TimestepStrategy, Timesteps};
use burn_mixflow::train::{FlowBatch, MixFlowTrainStep, TrainStepBuilder};
use serde_json::to_value;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Answers for the job in `file` until the input ends.
pub fn obey(file: &Path) -> Outcome<()> {
    let before = machine::peak_memory();
    let mut trainer = Trainer::new(job(file)?)?;
    serve(|command| {
        Ok(match command {
            Command::Hello => to_value(trainer.hello())?,
            Command::Train { count } => to_value(trainer.train(count)?)?,
            Command::Forward { count } => to_value(trainer.forward(count)?)?,
            Command::Sample { count, steps } => to_value(trainer.sample(count, steps)?)?,
            Command::Pairs { count } => to_value(trainer.pairs(count)?)?,
            Command::Losses => to_value(trainer.losses()?)?,
            Command::Memory => to_value(Memory { before, peak: machine::peak_memory() })?,
        })
    })
}

/// Both strategies on one network: which is drawn from is said before each step.
#[derive(Debug)]
struct Either {
    mixflow: Arc<dyn TimestepStrategy>,
    standard: Arc<dyn TimestepStrategy>,
    is_mixflow: Arc<AtomicBool>,
}

impl TimestepStrategy for Either {
    fn sample(&self, rng: &mut dyn rand::Rng) -> Timesteps {
        if self.is_mixflow.load(Ordering::Relaxed) { self.mixflow.sample(rng) } else { self.standard.sample(rng) }
    }
}

/// Milliseconds of a step, and of the part that clips, updates and averages.
struct StepTime {
    whole: f64,
    update: f64,
    /// Whether the gradients of the step before were clipped.
    clipped_before: bool,
}

struct Trainer {
    job: Job,
    device: Device,
    batch: FlowBatch<4, NetworkCondition>,
    is_mixflow: Arc<AtomicBool>,
    step: Option<MixFlowTrainStep<Network, 4>>,
    optimizer: ModuleOptimizer,
    steps_done: u64,
}

impl Trainer {
    fn new(job: Job) -> Outcome<Self> {
        let device = job.device.open()?.autodiff();
        let batch = prepare::batch(&job.training, &device)?;
        let (optimizer, is_mixflow) = (job.training.optimizer.build(), Arc::new(AtomicBool::new(true)));
        let mut trainer = Self { job, device, batch, is_mixflow, step: None, optimizer, steps_done: 0 };
        trainer.reset()?;
        Ok(trainer)
    }

    /// The weights of the file, no moments, and an average that starts at the weights.
    fn reset(&mut self) -> Outcome<()> {
        self.step = None;
        let Training { network, gamma, condition_dropout, optimizer, ema, .. } = &self.job.training;
        self.optimizer = optimizer.build();
        let strategy = Either {
            mixflow: StrategyConfig::mixflow(*gamma).build(None)?,
            standard: StrategyConfig::standard().build(None)?,
            is_mixflow: self.is_mixflow.clone(),
        };
        let network = prepare::network(network, &self.job.folder, &self.device)?;
        let builder = MixFlowTrainStep::<Network, 4>::builder(network, Arc::new(strategy))
            .with_ema(*ema)
            .with_precision(self.job.precision)
            .with_condition_dropout(*condition_dropout);
        self.step = Some(optimizer.clip.into_iter().fold(builder, TrainStepBuilder::with_clip).build()?);
        self.steps_done = 0;
        Ok(())
    }

    fn hello(&self) -> Hello {
        Hello {
            versions: machine::our_versions(),
            adamw: "in one pass".into(),
            tried: String::new(),
            parameters: self.job.training.network.parameter_count().trained as usize,
            date: None,
        }
    }

    /// Waits for the device; a CPU has finished when a call returns.
    fn synchronize(&self) -> Outcome<()> {
        Ok(self.device.sync()?)
    }

    /// One whole step, and the losses of its samples.
    fn one_step(&mut self) -> Outcome<(StepTime, Tensor<1>)> {
        let step = self.step.take().ok_or("the step before failed")?;
        let started = Instant::now();
        let keys = prepare::keys(self.steps_done, self.job.training.batch);
        let output = TrainStep::step(&step, self.batch.clone().with_keys(keys));
        let between = started.elapsed();
        let rate = self.job.training.optimizer.learning_rate;
        let step = step.optimize(&mut self.optimizer, rate.into(), output.grads);
        self.synchronize()?;
        let ended = started.elapsed();
        if let Some(fault) = step.fault() {
            return Err(fault.to_string().into());
        }
        self.step = Some(step);
        self.steps_done += 1;
        let milliseconds = |time: std::time::Duration| 1e3 * time.as_secs_f64();
        let max = self.job.training.optimizer.clip.unwrap_or(f64::INFINITY);
        let clipped_before = output.item.gradient_norm.is_some_and(|norm| norm > max);
        let (whole, update) = (milliseconds(ended), milliseconds(ended - between));
        Ok((StepTime { whole, update, clipped_before }, output.item.loss))
    }

    fn train(&mut self, count: usize) -> Outcome<Times> {
        let mut times = Times::default();
        for _ in 0..count {
            let (time, _) = self.one_step()?;
            times.steps.push(time.whole);
            times.updates.push(time.update);
        }
        // A GPU is still computing the gradients when the update begins.
        if self.job.device.0 != "cpu" {
            times.updates.clear();
        }
        Ok(times)
    }

    fn pairs(&mut self, count: usize) -> Outcome<Pairs> {
        let (mut pairs, mut before) = (Pairs::default(), None);
        for pair in 0..count {
            // Who is first changes, so that a machine that becomes slower is fair to both.
            for second in [false, true] {
                let mixflow = second == (pair % 2 == 0);
                self.is_mixflow.store(mixflow, Ordering::Relaxed);
                let (time, _) = self.one_step()?;
                if mixflow { &mut pairs.mixflow } else { &mut pairs.standard }.push(time.whole);
                if let Some(before) = before.replace(mixflow).filter(|_| time.clipped_before) {
                    pairs.clipped[usize::from(before)] += 1;
                }
            }
        }
        self.is_mixflow.store(true, Ordering::Relaxed);
        pairs.draws = Some(self.draws()?);
        Ok(pairs)
    }

    /// Milliseconds in which a standard and a MixFlow step draw their timesteps.
    fn draws(&self) -> Outcome<[f64; 2]> {
        let Training { batch, gamma, .. } = self.job.training;
        let strategies = [StrategyConfig::standard(), StrategyConfig::mixflow(gamma)];
        let [standard, mixflow] = strategies.map(|strategy| strategy.build(None));
        let strategies = [standard?, mixflow?];
        let mut times = [const { Vec::new() }; 2];
        for step in 0..1000 {
            let keys = prepare::keys(step, batch);
            for (strategy, times) in strategies.iter().zip(&mut times) {
                let started = Instant::now();
                for key in &keys {
                    black_box(strategy.sample(&mut key.rng(Purpose::Timesteps)));
                }
                times.push(1e3 * started.elapsed().as_secs_f64());
            }
        }
        Ok(times.map(|times| median(&times)))
    }

    fn losses(&mut self) -> Outcome<Losses> {
        self.reset()?;
        let mut losses = Vec::new();
        for _ in 0..self.job.losses {
            let (_, loss) = self.one_step()?;
            losses.push(loss.mean().into_data().iter::<f64>().next().ok_or("a loss")?);
        }
        Ok(Losses { losses })
    }

    /// The network without gradients, and the device without autodiff.
    fn network(&self) -> Outcome<(Network, Device)> {
        let step = self.step.as_ref().ok_or("the step before failed")?;
        Ok((step.network().clone().valid(), self.device.clone().without_autodiff()))
    }

    fn forward(&self, count: usize) -> Outcome<Times> {
        let (network, device) = self.network()?;
        let FlowBatch { data, condition, .. } = prepare::batch(&self.job.training, &device)?;
        let timestep = Tensor::<1>::full([self.job.training.batch], 0.5, &device);
        self.timed(count, || {
            network.predict(data.clone(), timestep.clone(), &condition);
            Ok(())
        })
    }

    fn sample(&self, count: usize, steps: usize) -> Outcome<Times> {
        let (network, device) = self.network()?;
        let FlowBatch { data, condition, .. } = prepare::batch(&self.job.training, &device)?;
        let batch = self.job.training.batch;
        let sampler = Sampler::linear_velocity(SamplerConfig::new(SolverConfig::Euler, steps, batch))?;
        self.timed(count, || {
            sampler.sample(&network, &condition, data.dims(), 0, &device, &mut |_| ())?;
            Ok(())
        })
    }

    fn timed(&self, count: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<Times> {
        let mut times = Times::default();
        for _ in 0..count {
            let started = Instant::now();
            work()?;
            self.synchronize()?;
            times.steps.push(1e3 * started.elapsed().as_secs_f64());
        }
        Ok(times)
    }
}
